"""The enhanced status code that the words of a bounce amount to (RFC 3463)."""

from __future__ import annotations

import re

__all__ = ["code_in", "status_of"]

_STATUS = re.compile(r"(?<![\d.])([245]\.\d{1,3}\.\d{1,3})(?![\d.])")
# "550 5.1.1", "550-'5.2.2", "(421) 4.4.2", "550 #5.1.1": the server's own answer.
_ANSWER = re.compile(
    r"(?<![\d.])\(?[245]\d\d\)?[ -]+(?:smtp;\s*)?['\"(#<\[]*([245]\.\d{1,3}\.\d{1,3})(?![\d.])"
)
_REPLY = re.compile(
    r"(?<![\d.:/])(?<!\bport )([45]\d\d)(?=[ -])(?! (?:bytes|kb|mb|seconds|hours))", re.I
)
#: What servers say in words, the more telling first.
_WORDS = tuple(
    (status, re.compile(words, re.I))
    for status, words in (
        (
            "5.2.2",
            r"(?:mailbox|inbox|mail folder|postfach|konto|account|boîte|buzón|casella|caixa)"
            r"[^.\n]{0,50}(?:is full|full|voll|pleine|llen[oa]|piena|cheia|exceed|over)"
            r"|(?:over|exceed\w*|above)[^.\n]{0,40}quota|quota[^.\n]{0,40}(?:exceed|full"
            r"|überschritten)"
            r"|insufficient (?:disk |storage )?space|not enough (?:disk |storage )?space"
            r"|storage[^.\n]{0,30}exceed|speicherplatz",
        ),
        (
            "5.2.1",
            r"(?:account|mailbox|user|address|konto|postfach|recipient)[^.\n]{0,60}"
            r"(?:disabled|inactive|suspended|deactivated|locked|gesperrt|deaktiviert|closed)",
        ),
        (
            "5.3.4",
            r"(?:message|mail|size|nachricht)[^.\n]{0,60}(?:too (?:large|big)|zu gro(?:ß|ss)"
            r"|exceeds?[^.\n]{0,40}(?:size|limit|maximum))|size limit",
        ),
        (
            "5.7.1",
            r"relay\w*[^.\n]{0,30}(?:denied|not (?:permitted|allowed)|prohibited)|unable to relay"
            r"|not permitted to\s+relay|\bspam\b|blacklist|black ?listed|block ?list|\bblocked\b"
            r"|\brbl\b|spamhaus|\bdmarc\b|\bspf\b|policy|access denied|not (?:a )?member"
            r"|not authori[sz]ed|prohibited|virus|abgelehnt",
        ),
        (
            "5.1.2",
            r"(?:host|domain)[^.\n]{0,40}(?:unknown|not found|does not exist|could ?n[o']t be found"
            r"|lookup fail)|unrouteable (?:mail )?(?:address|domain)|unroutable|no mx"
            r"|unknown (?:host|domain)"
            r"|name or service not known|dns error|couldn't find any host|bad destination host",
        ),
        (
            "5.1.1",
            r"(?:user|mailbox|recipient|account|address|alias|empfänger|benutzer|postfach|adresse"
            r"|destinataire|utilisateur|usuario|destinatario|utente|cuenta|name|mailbox name"
            r"|member)"
            r"[^.\n]{0,80}?(?:unknown|not (?:be )?found|does ?n[o']t exist|does not have|not exist"
            r"|invalid|not recogni[sz]ed|is not known|not listed|unavailable|nicht (?:bekannt"
            r"|gefunden"
            r"|existiert|vorhanden)|unbekannt|existiert nicht|ungültig|inconnue?|n'existe pas"
            r"|no existe"
            r"|desconocid[oa]|sconosciut[oa]|non esiste|inesistente|inexistente|no longer|rejected)"
            r"|(?:no such|unknown|invalid|illegal|non-?existent|bad|unbekannte[rs]?) (?:local )?"
            r"(?:user|mailbox|recipient|address|account|alias|person|empfänger|benutzer|destination"
            r"|rcpt)|no mailbox (?:here|by)|not (?:our|a valid) (?:customer|mailbox|user|recipient)"
            r"|no account|does(?:n.t| not) have an? (?:\w+ )?account|user\s+\S+\s+not known"
            r"|not listed in (?:domino|public)|unknown in virtual"
            r"|undeliverable address|directory of the server",
        ),
        (
            "4.4.7",
            r"expired|time-?d? ?out|too long|retry (?:time|timeout)|queue too long|giving up"
            r"|for \d+ (?:days|hours)|undelivered (?:after|for)|gave up",
        ),
        ("5.4.6", r"too many hops|mail loop|routing loop|loops back|loop detected|hop count"),
        (
            "4.4.1",
            r"connection (?:refused|timed|reset|lost)|connect to|not accepting|unreachable"
            r"|no route to host|network (?:error|unreachable)",
        ),
        (
            "4.7.1",
            r"gr[ae]y-?list|try (?:again|later)|rate limit|too many (?:messages|connections)",
        ),
        ("5.7.1", r"reject|refus|denied|verweigert"),
    )
)


def status_of(text: str, *, given: str = "") -> str:
    """The code in a text, or what its words or its SMTP reply code amount to; "" where nothing.

    Parameters
    ----------
    text : str
        What a server or a bounce says of one recipient.
    given : str
        The Status field of a delivery report. The answer of the remote server is nearer to the
        truth, where the text holds one with a code; its words count only without any Status.

    Examples
    --------
    >>> status_of("550 5.1.1 no such user"), status_of("552 Mailbox is full")
    ('5.1.1', '5.2.2')
    >>> status_of("552 5.2.2 over quota", given="5.1.1"), status_of("unknown user", given="5.0.0")
    ('5.2.2', '5.0.0')
    """
    told = code_in(text)
    if found := _STATUS.search(given):
        # A code that is nowhere in a server's answer may be a version or an address.
        precise = told and (
            _ANSWER.search(text) or (found[1].endswith(".0.0") and told[0] == found[1][0])
        )
        return told if precise and not told.endswith(".0.0") else found[1]
    return told or _in_words(text)


def code_in(text: str) -> str:
    """The code in a text, the one in a server's answer before any other; "" where there is none.

    Examples
    --------
    >>> code_in("version 5.0.1: 550 5.1.1 no such user"), code_in("no such user")
    ('5.1.1', '')
    """
    codes = [code for code in _ANSWER.findall(text) or _STATUS.findall(text) if code[0] != "2"]
    return next((code for code in codes if not code.endswith(".0.0")), codes[0] if codes else "")


def _in_words(text: str) -> str:
    reply = _REPLY.search(text)
    for status, words in _WORDS:
        if words.search(text):
            # The server's first digit says whether trying again would help.
            return reply[1][0] + status[1:] if reply else status
    if reply is None:
        return ""
    return {"550": "5.1.1", "552": "5.2.2", "452": "4.2.2"}.get(reply[1], f"{reply[1][0]}.0.0")
