"""Where the signature of a mail begins: the separator, or what a telephone puts there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import product

__all__ = ["DEVICE_BEGINNINGS", "is_device_line", "is_signature"]

_SEPARATOR = re.compile(r"--[ \xa0]?")
# These separate a signature, too, but also parts of a text: what follows has to look like one.
_WEAK_SEPARATOR = re.compile(r"(?:[—–]|-{3,}|_{3,}|[*=~#]{3,})\s*")
_CONTACT = re.compile(r"@|\bwww\.|https?:|\+?\d[\d /().-]{6,}\d")
_MOST_LINES = 8  # of what follows a weak separator
_WIDEST = 80
_DEVICES = (
    r"(?:my|a|an|the)\b|(?:mail|e-?mail|outlook|yahoo|aol|gmail|mailbox|windows|samsung|iphone"
    r"|ipad|ios|android|blackberry|nokia|htc|sony|huawei|xiaomi|galaxy|proton|mobile|phone|sparrow"
    r"|postbox|airmail|thunderbird|tutanota|nine|bluemail|spark|mobil)\b|\[?mail\b"
)
_DEVICE = re.compile(
    r"(?:"
    rf"sent (?:from|via|with|by|using)[: ]+(?:(?:{_DEVICES})(?!.*\b(?:is|was|are|were|will)\b)"
    r"|.{1,40}[<(]https?:)"
    r"|von (?:meinem|unterwegs|mein).{2,60}(?:gesendet|geschickt|verschickt)"
    r"|(?:diese nachricht wurde )?(?:gesendet|geschickt|verschickt) (?:von meinem|mit der"
    r"|mit meinem|mit blackberry|von mobile|von unterwegs|von outlook|von mail|von yahoo|über)"
    r"|diese nachricht wurde (?:von meinem|mit)|von unterwegs gesendet"
    r"|(?:get|holen sie sich|obtenir|téléchargez|télécharger|obtener|obtén|scarica|ottieni|download"
    r"|obter|obtenha|pobierz|hämta|hent|hanki|скачать) \[?outlook (?:for|für|pour|para|per|voor|dla"
    r"|för|til|til|для)"
    r"|envoyé (?:de|depuis|à partir de|à partir d|avec|par)[ '’]?"
    r"(?:mon |ma |mail|outlook|yahoo|l['’]|un |mobile)"
    r"|enviado (?:desde|do|de|a partir d|via|com) (?:mi|meu|minha|el|o|correo|outlook"
    r"|yahoo|mail|un)"
    r"|inviato d(?:a|al|all)['’ ](?:mio|il mio|iphone|ipad|smartphone|outlook|mail|yahoo|un|libero)"
    r"|inviato da|verzonden (?:vanaf|met|via|vanuit) (?:mijn|outlook|mail|blackberry|een)"
    r"|verstuurd vanaf|sendt fra (?:min|mit|outlook|e-?mail|yahoo)"
    r"|skickat från (?:min|mitt|outlook)"
    r"|lähetetty (?:iphone|ipad|puhelim|android|samsung|outlook|sähköpost)"
    r"|wysłan[eoy] (?:z|przy|za pom)|odesláno z|odoslané z|отправлено (?:с|из)|надіслано з"
    r"|iphone-(?:omról|umdan)|elküldve az|trimis de pe|発信元|iphoneから送信|发自我的|發自我的"
    r"|從我的.{1,30}傳送|从我的.{1,30}发送"
    r")",
    re.I,
)


#: How the lines of telephones begin, in three letters: a quick test before the long one.
_BEGINNINGS = (
    *("sen", "von", "die", "ges", "ver", "get", "hol", "obt", "tél", "sca", "ott"),
    *("dow", "pob", "häm", "hen", "han", "ска", "env", "inv", "ski", "läh", "wys"),
    *("ode", "odo", "отп", "над", "iph", "elk", "tri", "発信元", "发自我", "發自我", "從我的"),
    "从我的",
)
#: The same, however they are capitalised.
DEVICE_BEGINNINGS = frozenset(
    "".join(letters)
    for word in _BEGINNINGS
    for letters in product(*((letter, letter.upper()) for letter in word))
)


def is_device_line(line: str) -> bool:
    """Whether the line reads like one that a telephone or a mail program adds."""
    start = line.lstrip("*_(<[ \xa0\t")
    return start[:3] in DEVICE_BEGINNINGS and _DEVICE.match(start) is not None


def is_signature(lines: Sequence[str], position: int) -> bool:
    """Whether this line separates a signature from the text, or is one of a telephone.

    The separator is "-- " (RFC 3676 section 4.3); its blank is lost on the way more often than
    not. A dash or rule of another sort counts where a few short lines follow it that
    hold an address or a number.
    """
    line = lines[position]
    if _SEPARATOR.fullmatch(line):
        return True
    if len(line) > 200:
        return False
    if is_device_line(line):
        # A sentence may begin like that, too; the telephone writes one line of its own.
        return len(line.strip()) <= 120 and not (
            position and lines[position - 1].strip()[-1:] == ","
        )
    return bool(_WEAK_SEPARATOR.fullmatch(line.strip())) and _is_card(lines, position + 1)


def _is_card(lines: Sequence[str], position: int) -> bool:
    """Whether what follows, up to a quote or the end, are few short lines with a way to reach."""
    count = 0
    reached = False
    for line in lines[position:]:
        text = line.strip()
        if text.startswith(">"):
            break
        count += bool(text)
        if count > _MOST_LINES or len(text) > _WIDEST or text.endswith("?"):
            return False
        reached = reached or _CONTACT.search(text) is not None
    return reached
