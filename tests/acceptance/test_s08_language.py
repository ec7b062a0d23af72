"""S8: a user gets the template in their language, else in the default language."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import Desk
from tests.project import letter

GREETING = {"en": "Hello", "de": "Guten Tag", "pt-br": "Olá"}


def greet(desk: Desk, *languages: str) -> None:
    """Have a template in these languages sent to the user anna for every new incident."""
    for language in languages:
        parts = {"subject": GREETING[language], "txt": f"{GREETING[language]}!\n"}
        desk.folder.template("news", **{f"{language}_{k}": text for k, text in parts.items()})
    desk.announce("{field: caller}")


def subjects(desk: Desk, *callers: str) -> list[str]:
    """What each of these people is sent."""
    for caller in callers:
        desk.k.records["incident"].insert(title="Fire", caller=caller)
    desk.healthy_poll()
    return [taken.mail["Subject"].partition("] ")[2] for taken in desk.sink.taken]


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("de", "Guten Tag"),
        ("de-AT", "Guten Tag"),
        ("DE_ch", "Guten Tag"),
        ("pt-BR", "Olá"),
        ("pt", "Hello"),
        ("fr", "Hello"),
        (None, "Hello"),
    ],
)
def test_a_user_gets_the_language_that_comes_nearest(
    bare_desk: Desk, language: str | None, expected: str
) -> None:
    greet(bare_desk, "en", "de", "pt-br")
    bare_desk.k.users.add("anna", "anna@kolibri.example", language=language)

    assert subjects(bare_desk, "anna") == [expected]


def test_the_default_language_is_that_of_the_mailbox(bare_desk: Desk) -> None:
    bare_desk.mailbox(language="de")
    greet(bare_desk, "en", "de")
    bare_desk.k.users.add("anna", "anna@kolibri.example", language="fr")
    bare_desk.k.users.add("tom", "tom@kolibri.example", language="en")

    told = subjects(bare_desk, "anna", "tom", "outside@customer.example")
    assert told == ["Guten Tag", "Hello", "Guten Tag"]


def test_a_template_without_the_default_language_is_sent_as_it_is(bare_desk: Desk) -> None:
    greet(bare_desk, "de")

    assert subjects(bare_desk, "outside@customer.example") == ["Guten Tag"]


def test_one_change_writes_to_each_user_in_their_own_language(bare_desk: Desk) -> None:
    greet(bare_desk, "en", "de")
    for name, language in {"anna": "de", "tom": "en", "ute": "de-AT"}.items():
        bare_desk.k.users.add(name, f"{name}@kolibri.example", language=language)

    subjects(bare_desk, "anna, tom, ute, outside@customer.example")

    told = {taken.recipients: taken.mail.get_content().strip() for taken in bare_desk.sink.taken}
    assert told == {
        ("anna@kolibri.example", "ute@kolibri.example"): "Guten Tag!",
        ("tom@kolibri.example", "outside@customer.example"): "Hello!",
    }


def test_the_answer_to_a_mail_speaks_the_language_of_its_sender(desk: Desk) -> None:
    desk.k.users.add("anna", "Anna@Customer.example", language="de")

    desk.receive(letter())

    assert "Wir haben Ihre Meldung" in desk.answer_to("anna@customer.example").mail["Subject"]
