"""The demo's mails show what they are meant to show."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import kolibri_sdk
from kolibri_sdk.mail import parse_mail
from kolibri_sdk.model.message import MessageKind

MAILS = Path(kolibri_sdk.__file__).parent / "demo" / "mails"
PLACEHOLDERS = {
    "to": "support+t0k3n@kolibri.example",
    "subject": "[INC-000001 k7x9q2m4xw] VPN",
    "in_reply_to": "<answer@kolibri.example>",
    "references": "<question@stadtwerke.example> <answer@kolibri.example>",
    "quoted": "> Vielen Dank, wir kümmern uns.",
}


def test_each_kind_of_mail_is_there_and_one_cannot_be_parsed() -> None:
    kinds: Counter[str] = Counter()
    for path in sorted(MAILS.glob("s*/*.eml")):
        mail = parse_mail(path.read_bytes())
        kinds["unparsed" if mail.incomplete else mail.kind] += 1
    assert kinds == {
        MessageKind.ORDINARY: 16,
        MessageKind.AUTO_REPLY: 1,
        MessageKind.BOUNCE: 1,
        MessageKind.LIST: 1,
        "unparsed": 1,
    }


@pytest.mark.parametrize("name", ["with-reference", "references-only"])
def test_a_reply_is_made_from_its_form(name: str) -> None:
    form = (MAILS / "replies" / f"{name}.eml").read_bytes().decode("utf-8")
    mail = parse_mail(form.format(**PLACEHOLDERS).encode("utf-8"))
    first = parse_mail((MAILS / "support" / "01-vpn-geht-nicht.eml").read_bytes())
    assert mail.defects == ()
    assert mail.sender == first.sender
    assert mail.in_reply_to == ("answer@kolibri.example",)
    assert mail.references == ("question@stadtwerke.example", "answer@kolibri.example")
    assert ("INC-000001" in mail.subject) == (name == "with-reference")
    assert "kümmern" not in mail.reply_text
    assert "{" not in mail.subject + mail.text
