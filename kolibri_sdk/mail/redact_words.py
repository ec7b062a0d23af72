"""Names that nobody bears here, and the words by which the names of people are found."""

from __future__ import annotations

import re

__all__ = ["CLOSING", "COMMON", "DOMAINS", "FAMILY", "FULL", "GIVEN", "NAMED", "ROLES"]

GIVEN = (
    *("Alma", "Arvid", "Beate", "Bruno", "Clara", "Corin", "Dagmar", "Edgar", "Elin", "Emil"),
    *("Fabian", "Frida", "Gerta", "Gustav", "Hanno", "Hedda", "Ida", "Ilja", "Jasper", "Jonna"),
    *("Kaspar", "Kira", "Lasse", "Leni", "Malte", "Mina", "Nele", "Nils", "Oda", "Otto"),
    *("Pauline", "Quirin", "Ragna", "Rasmus", "Selma", "Sixten", "Tilda", "Titus", "Ulla", "Uwe"),
    *("Valeska", "Veit", "Wanda", "Wido", "Xaver", "Yara", "Zeno", "Zita"),
)
FAMILY = (
    *("Ahlers", "Amrein", "Bergner", "Brinkmann", "Castrop", "Dehmel", "Dornbusch", "Eggers"),
    *("Elsner", "Falkner", "Fintel", "Gerlach", "Gravert", "Hagedorn", "Hollmann", "Immel"),
    *("Jessen", "Kaltwasser", "Kestner", "Lohmann", "Lüders", "Mahnke", "Mewes", "Niebuhr"),
    *("Norden", "Olbrich", "Osterloh", "Petersen", "Pfennig", "Quast", "Rathje", "Reimers"),
    *("Sander", "Stolte", "Thaden", "Tiedemann", "Uhlig", "Vesper", "Wacker", "Wendland"),
    *("Wulf", "Zander", "Ziemann", "Zorn"),
)
DOMAINS = (
    *("ackerbau.example", "bernstein.example", "dachwerk.example", "eichenhof.example"),
    *("feldpost.example", "glasbau.example", "hafenlicht.example", "inselwerk.example"),
    *("kornhaus.example", "lindenau.example", "moorweg.example", "nordwind.example"),
    *("ostkamp.example", "papierwerk.example", "quellental.example", "rosengarten.example"),
    *("seebruecke.example", "talblick.example", "uferstrasse.example", "wiesengrund.example"),
)

#: Given names that are no words besides: whoever bears one is found wherever it stands.
COMMON = frozenset(
    (
        *("alexander", "alexandra", "andrea", "andreas", "angela", "anita", "anja", "anke", "anna"),
        *("anne", "annette", "antje", "astrid", "barbara", "bastian", "beatrice", "benjamin"),
        *("bernd", "bernhard", "bettina", "birgit", "björn", "brigitte", "carla", "carlos"),
        *("carolin", "caroline", "carsten", "charlotte", "christa", "christian", "christiane"),
        *("christina", "christine", "christoph", "christopher", "claudia", "cornelia", "daniel"),
        *("daniela", "david", "deniz", "dieter", "dirk", "dominik", "dominique", "doris", "elena"),
        *("elisabeth", "elizabeth", "emily", "emma", "erik", "ernst", "eva", "felix", "florian"),
        *(
            "frank",
            "franz",
            "fredrik",
            "friedrich",
            "gabriele",
            "georg",
            "gerald",
            "gerd",
            "giulia",
        ),
        *("gisela", "guido", "günter", "günther", "hannah", "hannes", "hans", "harald", "heike"),
        *("heiko", "heinrich", "heinz", "helga", "helmut", "henrik", "herbert", "holger", "ines"),
        *("ingo", "ingrid", "irene", "isabel", "isabelle", "jacob", "jakob", "james", "janina"),
        *("jennifer", "jessica", "jochen", "joachim", "johann", "johanna", "johannes", "john"),
        *("jonas", "jonathan", "josef", "joseph", "jörg", "julia", "julian", "juliane", "jürgen"),
        *("karin", "karl", "karsten", "katharina", "kathrin", "katja", "katrin", "kerstin"),
        *("kevin", "klaus", "konrad", "kristin", "kristina", "lars", "laura", "lena", "leon"),
        *("lisa", "lorenz", "louis", "luca", "lukas", "maike", "manfred", "manuel", "manuela"),
        *("marc", "marcel", "marco", "marcus", "maria", "marie", "mario", "marion", "markus"),
        *("martin", "martina", "mary", "matthias", "maximilian", "mehmet", "melanie", "michael"),
        *("michaela", "michelle", "miriam", "mohamed", "monika", "moritz", "mustafa", "nadine"),
        *("nadja", "natalie", "nicholas", "nicolas", "nicole", "niklas", "nina", "norbert", "olaf"),
        *("oliver", "pascal", "patricia", "patrick", "paul", "paula", "peter", "petra", "philip"),
        *("philipp", "priya", "rachel", "rainer", "ralf", "ralph", "rebecca", "regina", "renate"),
        *("robert", "roland", "rolf", "sabine", "sabrina", "samuel", "sandra", "sara", "sarah"),
        *("sebastian", "silke", "silvia", "simon", "simone", "sofia", "sonja", "sophia", "sophie"),
        *("stefan", "stefanie", "steffen", "stephan", "stephanie", "steven", "susan", "susanne"),
        *(
            "sven",
            "svenja",
            "tanja",
            "theresa",
            "thomas",
            "thorsten",
            "tobias",
            "torsten",
            "ulrich",
        ),
        *("ulrike", "ursula", "uta", "vanessa", "verena", "veronika", "victoria", "volker"),
        *("waltraud", "werner", "wilhelm", "william", "wolfgang", "yannick", "yasmin", "yvonne"),
    )
)

#: What stands before the @, or in a display name, and is nobody's name; also words of a company.
ROLES = frozenset(
    (
        *("support", "service", "servicedesk", "helpdesk", "help", "desk", "info", "kontakt"),
        *("contact", "office", "mail", "post", "postmaster", "mailer", "daemon", "mailer-daemon"),
        *("noreply", "no-reply", "donotreply", "reply", "no", "not", "admin", "administrator"),
        *("team", "it", "hr", "edv", "vertrieb", "sales", "billing", "accounting", "buchhaltung"),
        *("rechnung", "invoice", "orders", "bestellung", "news", "newsletter", "marketing", "web"),
        *("webmaster", "abuse", "security", "alerts", "alert", "monitoring", "system", "server"),
        *("gmbh", "ag", "kg", "ug", "mbh", "inc", "ltd", "llc", "corp", "co", "the", "and", "und"),
        *("der", "die", "das", "von", "van", "de", "la", "le", "dr", "prof", "mr", "mrs", "ms"),
        *("herr", "frau", "via", "for", "für", "to", "an", "at", "bei", "am", "im", "all", "alle"),
        *("you", "your", "me", "we", "our", "ihr", "ihre", "dein", "sie", "es", "hotline", "user"),
        *("delivery", "subsystem", "undelivered", "notifier", "agent", "bot", "robot", "backup"),
        *("customer", "kunde", "kunden", "kundenservice", "zentrale", "empfang", "notification"),
        *("notifications", "automatic", "postfach", "vpn", "wlan", "netz", "network", "netzwerk"),
    )
)

_UPPER = r"[^\W\d_a-zäöüßéèáàóòçñ]"
_NAME = rf"{_UPPER}[^\W\d_]+(?:[ -]{_UPPER}[^\W\d_]+){{0,2}}"
#: A given name with a family name behind it.
FULL = re.compile(rf"\b(?P<name>(?P<given>{_UPPER}[^\W\d_]+)(?:[ -]{_UPPER}[^\W\d_]+){{0,2}})")
#: A name behind a greeting or a title; the words before it are told in the usual languages.
NAMED = re.compile(
    r"(?:\b(?i:hallo|hi|hello|hey|dear|liebe[rs]?|guten (?:tag|morgen|abend)|moin|servus"
    r"|sehr geehrte[rs]?|good (?:morning|afternoon)|bonjour|cher|chère|estimad[oa]|gentile)"
    r"[ ,]+(?:(?i:herrn?|frau|mr|mrs|ms|dr|prof)\.? +)*"
    r"|\b(?:Herrn?|Frau|Mr|Mrs|Ms|Dr|Prof)\.? +(?:(?:Dr|Prof)\.? +)*)"
    rf"(?P<name>{_NAME})"
)
#: The line above a name at the end of a mail.
CLOSING = re.compile(
    r"(?i:(?:mit )?(?:freundlich(?:e|en|em)|beste(?:n)?|viele(?:n)?|liebe(?:n)?|herzlich(?:e|en)"
    r"|schöne(?:n)?|sonnige)(?: und [a-zäöü]+)?"
    r" (?:grüße(?:n)?|gruß|grüssen|gruss|dank)(?: aus \w+)?"
    r"|mfg|lg|vg|gruß|grüße|danke(?: und .{1,30})?|vielen dank(?: und .{1,30})?"
    r"|(?:kind|best|warm|many|with kind|with best)(?: regards| wishes| thanks)?|regards|cheers"
    r"|thanks(?: a lot| again)?|thank you(?: very much)?|sincerely|yours(?: sincerely| truly)?"
    r"|cordialement|bien à vous|saludos(?: cordiales)?|cordiali saluti"
    r"|met vriendelijke groet(?:en)?)"
)
