"""What is cut off a reply, and what is not, in the languages and forms of many mail programs."""

from __future__ import annotations

import pytest

from kolibri_sdk.mail import newly_written, parse_mail

NEW = "Der Drucker geht wieder.\nVielen Dank!"
OLD = "> Bitte schalten Sie den Drucker aus und wieder ein.\n>\n> Ihr Helpdesk"

#: What stands above a quoted mail.
ATTRIBUTIONS = {
    "German": "Am 04.05.26 um 10:15 schrieb Helpdesk:",
    "German, wrapped": "Am Mo., 4. Mai 2026 um 10:15 Uhr schrieb Helpdesk der Beispiel AG\n"
    "<help@example.org>:",
    "German, name first": "Helpdesk <help@example.org> schrieb am Mo., 4. Mai 2026,\n10:15:",
    "English": "On Mon, May 4, 2026 at 10:15 AM Helpdesk <help@example.org> wrote:",
    "English, three lines": "On May 4, 2026, at 10:15,\nHelpdesk\n<help@example.org> wrote:",
    "English, you": "At 5/4/2026 10:15 AM, you wrote:",
    "English, framed": "---- On Mon, 04 May 2026 10:15:00 +0200 Helpdesk <h@x.example> wrote ---",
    "French": "Le lun. 4 mai 2026 à 10:15, Helpdesk <help@example.org> a écrit :",
    "French, wrapped": "Le lun. 4 mai 2026 à 10:15, Helpdesk <help@example.org>\na écrit :",
    "Spanish": "El lun, 4 may 2026 a las 10:15, Helpdesk (<help@example.org>) escribió:",
    "Italian": "Il giorno lun 4 mag 2026 alle ore 10:15 Helpdesk <help@example.org> ha scritto:",
    "Dutch": "Op ma 4 mei 2026 om 10:15 schreef Helpdesk <help@example.org>:",
    "Dutch, on a telephone": "Op 4 mei 2026 om 10:15 heeft Helpdesk <help@example.org> het\n"
    "volgende geschreven:",
    "Portuguese": "Em seg., 4 de mai. de 2026 às 10:15, Helpdesk <help@example.org> escreveu:",
    "Polish": "pon., 4 maj 2026 o 10:15 Helpdesk <help@example.org> napisał(a):",
    "Swedish": "Den mån 4 maj 2026 kl 10:15 skrev Helpdesk <help@example.org>:",
    "Norwegian": "man. 4. mai 2026 kl. 10:15 skrev Helpdesk <help@example.org>:",
    "Danish": "Den 4. maj 2026 kl. 10.15 skrev Helpdesk <help@example.org>:",
    "Finnish": "ma 4. toukok. 2026 klo 10.15 Helpdesk (help@example.org) kirjoitti:",
    "Czech": "po 4. 5. 2026 v 10:15 odesílatel Helpdesk <help@example.org> napsal:",
    "Hungarian": "2026.05.04. 10:15 keltezéssel, Helpdesk írta:",
    "Russian": "пн, 4 мая 2026 г. в 10:15, Helpdesk <help@example.org>:",
    "Ukrainian": "пн, 4 трав. 2026 р. о 10:15 Helpdesk <help@example.org> пише:",
    "Turkish": "Helpdesk <help@example.org>, 4 May 2026 Pzt, 10:15 tarihinde şunu yazdı:",
    "Chinese": "Helpdesk <help@example.org> 于2026年5月4日周一 10:15写道：",
    "Japanese": "2026年5月4日(月) 10:15 Helpdesk <help@example.org>:",
    "no verb": "2026-05-04 10:15 GMT+02:00 Helpdesk <help@example.org>:",
    "no verb, no colon": "2026-05-04 10:15 GMT+02:00 Helpdesk",
    "name and address": '"Helpdesk" <help@example.org>:',
}

#: The headers that stand above a quoted mail, which itself is not marked.
HEADERS = {
    "Outlook, German": "Von: Helpdesk <help@example.org>\nGesendet: Montag, 4. Mai 2026 10:15\n"
    "An: Anna Kühn <anna@example.net>\nBetreff: Drucker",
    "Outlook, English, bold": "*From:* Helpdesk [mailto:help@example.org]\n"
    "*Sent:* Monday, May 4, 2026 10:15 AM\n*To:* Anna Kühn\n*Subject:* Drucker",
    "Outlook, French": "De : Helpdesk <help@example.org>\nEnvoyé : lundi 4 mai 2026 10:15\n"
    "À : Anna Kühn\nObjet : Drucker",
    "Outlook, Spanish": "De: Helpdesk\nEnviado el: lunes, 4 de mayo de 2026 10:15\nPara: Anna\n"
    "Asunto: Drucker",
    "Outlook, Italian": "Da: Helpdesk\nInviato: lunedì 4 maggio 2026 10:15\nA: Anna\n"
    "Oggetto: Drucker",
    "Outlook, Dutch": "Van: Helpdesk\nVerzonden: maandag 4 mei 2026 10:15\nAan: Anna\n"
    "Onderwerp: Drucker",
    "Outlook, Polish": "Od: Helpdesk\nWysłano: 4 maja 2026 10:15\nDo: Anna\nTemat: Drucker",
    "Outlook, Danish": "Fra: Helpdesk\nSendt: 4. maj 2026 10:15\nTil: Anna\nEmne: Drucker",
    "Outlook, Russian": "От: Helpdesk\nОтправлено: 4 мая 2026 г. 10:15\nКому: Anna\nТема: Drucker",
    "a rule above": "____________________________\nVon: Helpdesk\nGesendet: 4. Mai 2026\nAn: Anna",
    "a line above": "-----Ursprüngliche Nachricht-----\nVon: Helpdesk\nGesendet: 4. Mai 2026",
    "a line alone": "-------- Original Message --------",
    "another order": "Date: Mon, 4 May 2026 10:15:00 +0200\nSubject: Drucker\n"
    "From: help@example.org\nTo: anna@example.net",
    "wrapped recipients": "From: Helpdesk\nSent: 4 May 2026\nTo: Anna Kühn;\n Bob;\n Carla\n"
    "Subject: Drucker",
    "blank lines between": "From: Helpdesk\n\nSent: 4 May 2026\n\nTo: Anna\n\nSubject: Drucker",
}

SIGNATURES = {
    "separator": "-- \nAnna Kühn\nBeispiel AG",
    "separator without blank": "--\nAnna Kühn",
    "dash": "—\nAnna Kühn\n+49 30 123456",
    "iPhone, German": "Von meinem iPhone gesendet",
    "K-9, German": "Diese Nachricht wurde von meinem Android-Mobiltelefon mit K-9 Mail gesendet.",
    "Outlook, German": "Gesendet von Outlook für iOS<https://aka.ms/o0ukef>",
    "Outlook, English": "Get Outlook for Android<https://aka.ms/AAb9ysg>",
    "iPhone, English": "Sent from my iPhone",
    "iPhone, French": "Envoyé de mon iPhone",
    "iPhone, Spanish": "Enviado desde mi iPhone",
    "iPhone, Italian": "Inviato da iPhone",
    "iPad, Norwegian": "Sendt fra min iPad",
    "iPhone, Chinese": "从我的iPhone发送",
    "iPhone, Chinese, the other way": "发自我的iPhone",
    "Android, Dutch": "Verzonden vanaf mijn Samsung Galaxy",
    "a mailing list's": "_______________________________________________\nHelp mailing list\n"
    "help@lists.example.org\nhttps://lists.example.org/mailman/listinfo/help",
}


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_a_quoted_mail_below_its_attribution_is_cut(name: str) -> None:
    assert newly_written(f"{NEW}\n\n{ATTRIBUTIONS[name]}\n\n{OLD}\n") == NEW


@pytest.mark.parametrize("name", ATTRIBUTIONS)
def test_an_answer_below_the_quote_is_kept(name: str) -> None:
    assert newly_written(f"{ATTRIBUTIONS[name]}\n{OLD}\n\n{NEW}\n") == NEW


@pytest.mark.parametrize("name", HEADERS)
def test_a_mail_below_its_headers_is_cut(name: str) -> None:
    text = f"{NEW}\n\n{HEADERS[name]}\n\nBitte schalten Sie den Drucker aus.\n"
    assert newly_written(text) == NEW


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_signature_is_cut_and_so_is_what_follows(name: str) -> None:
    assert newly_written(f"{NEW}\n\n{SIGNATURES[name]}\n") == NEW
    below = f"{ATTRIBUTIONS['German']}\n{OLD}"
    assert newly_written(f"{NEW}\n\n{SIGNATURES[name]}\n\n{below}\n") == NEW


@pytest.mark.parametrize(
    "text",
    [
        "On the phone she wrote down:\n- bread\n- milk",
        "Am 3. Mai schrieb ich Ihnen:\nDer Drucker geht nicht.\nBis heute keine Antwort.",
        "Anna wrote:\nthe printer is broken",
        "Von: Berlin\nNach: Hamburg\nWir brauchen zwei Fahrkarten.",
        "From: the second floor\nPlease send somebody.",
        "Sent from my desk this is much easier than on the phone.",
        "Gesendet habe ich es am Montag.\nBitte prüfen.",
        "Teil 1\n---\nDer Drucker auf der zweiten Etage geht nicht mehr, seit am Montag der neue "
        "Treiber kam.\n---\nTeil 2",
        "Fehler um 10:15:\nERR 5.0: kein Papier\nSiehe https://example.org/drucker",
        "Mein Konto ist anna@example.net, bitte entsperren Sie es:\nes ist dringend.",
        "x <- 5\ny -> 7\n-5 °C im Serverraum",
    ],
)
def test_what_only_resembles_a_quote_stays(text: str) -> None:
    assert newly_written(text) == text


def test_the_nearest_line_begins_the_attribution() -> None:
    text = f"Am 3.5.2026 komme ich nicht.\nAm 4.5.2026 um 10:15 schrieb Helpdesk:\n{OLD}"
    assert newly_written(text) == "Am 3.5.2026 komme ich nicht."


def test_answers_between_the_quoted_lines_are_kept() -> None:
    text = (
        "Hallo,\n\nAm 04.05.26 um 10:15 schrieb Helpdesk:\n> Ist er an?\n\nJa.\n\n"
        "> Ist Papier darin?\n\nNein.\n\n-- \nAnna\n"
    )
    assert newly_written(text) == "Hallo,\n\nJa.\n\nNein."


def test_a_line_broken_off_a_quoted_one_is_no_answer() -> None:
    text = (
        f"{NEW}\n\nAm 04.05.26 um 10:15 schrieb Helpdesk:\n"
        "> Bitte schalten Sie den Drucker aus, warten Sie zehn Sekunden, schalten\n"
        "sie ihn ein\n> und drucken Sie eine Seite.\n"
    )
    assert newly_written(text) == NEW


def test_a_mail_that_only_quotes_a_mail_says_nothing_new() -> None:
    assert newly_written(f"{ATTRIBUTIONS['German']}\n{OLD}\n") == ""
    assert newly_written("> On Mon, May 4, 2026 at 10:15 Bo <bo@example.org> wrote:\n>> Hi") == ""


@pytest.mark.parametrize("text", ["> a citation, no mail", HEADERS["Outlook, German"], "-- \nAnna"])
def test_where_nothing_would_be_left_nothing_is_cut(text: str) -> None:
    assert newly_written(text) == text


#: HTML as mail programs write it: what was newly written, the rest marked as quoted.
HTML = {
    "Gmail": '<div>{new}</div><div class="gmail_quote"><div class="gmail_attr">On Mon wrote X</div>'
    '<blockquote class="gmail_quote"><p>{old}</p></blockquote></div>',
    "Gmail, answered between": '<div class="gmail_quote"><div class="gmail_attr">X</div>'
    '<blockquote class="gmail_quote">{old}</blockquote></div><div>{new}</div>'
    '<blockquote class="gmail_quote">{old}</blockquote>',
    "Apple Mail": "{new}<div><br><blockquote type='cite'><div>{old}</div></blockquote></div>",
    "Thunderbird": '{new}<div class="moz-cite-prefix">Anno 2026:</div>'
    '<blockquote type="cite" cite="mid:1@example.org"><p>{old}</p></blockquote>',
    "Outlook on the web": '<div>{new}</div><div id="appendonsend"></div><hr>'
    '<div id="divRplyFwdMsg"><b>Kimden:</b> x</div><div>{old}</div>',
    "Outlook for Mac": '<p>{new}</p><span id="OLK_SRC_BODY_SECTION"><div>{old}</div></span>',
    "Outlook on a telephone": "<p>{new}</p>"
    '<div id="mail-editor-reference-message-container"><p>{old}</p></div>',
    "Hotmail": '<div>{new}<div><hr id="stopSpelling">{old}</div></div>',
    "Yahoo": '<div>{new}</div><div id="yahoo_quoted_1" class="yahoo_quoted">{old}</div>',
    "Proton": '<div>{new}</div><div class="protonmail_quote">x <div>{old}</div></div>',
    "GMX": '<div>{new}</div><div name="quote" style="border-left:2px solid">{old}</div>',
    "mail.ru": "<p>{new}</p>"
    '<blockquote style="border-left:1px solid #0857A6; margin:10px;">{old}</blockquote>',
    "Roundcube": '<p>{new}</p><p id="reply-intro">x</p><blockquote type="cite">{old}</blockquote>',
    "Yandex": "<p>{new}<br>26.06.2026, 14:41, &lt;help@example.org&gt;:</p>"
    "<blockquote>{old}</blockquote>",
}


def _html_mail(html: str, subject: str = "Re: Drucker") -> bytes:
    return (
        f"From: anna@example.net\nSubject: {subject}\nMIME-Version: 1.0\n"
        f"Content-Type: text/html; charset=utf-8\n\n<html><body>{html}</body></html>\n"
    ).encode()


@pytest.mark.parametrize("name", HTML)
def test_what_html_marks_as_quoted_is_cut(name: str) -> None:
    html = HTML[name].format(new="Geht wieder.", old="Bitte neu starten.")
    mail = parse_mail(_html_mail(html))
    assert mail.reply_text == "Geht wieder."
    assert "Bitte neu starten." in mail.text


def test_an_indented_paragraph_of_html_is_no_quote() -> None:
    html = '<p>Der Text lautet so</p><blockquote style="margin:0 0 0 40px">kein Papier</blockquote>'
    assert "kein Papier" in parse_mail(_html_mail(html)).reply_text


def test_answers_within_a_quote_of_html_are_not_lost() -> None:
    html = '<blockquote type="cite">Ist er an? <b>Ja, seit heute.</b></blockquote>'
    assert "Ja, seit heute." in parse_mail(_html_mail(html)).reply_text


def test_of_a_forward_in_html_everything_is_new() -> None:
    html = HTML["Outlook on the web"].format(new="Zur Kenntnis.", old="Bitte neu starten.")
    assert "Bitte neu starten." in parse_mail(_html_mail(html, "WG: Drucker")).reply_text
