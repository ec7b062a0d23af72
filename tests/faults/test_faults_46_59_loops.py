"""Faults 46, 54-59: our mail comes back, desks answer each other, forgers, floods, stolen codes."""

from __future__ import annotations

import re
import shutil
from email import message_from_bytes, policy
from random import Random

import pytest

from kolibri_sdk import PassReport
from kolibri_sdk.store import keys
from tests.faults.conftest import NewDesk
from tests.faults.desk import INCIDENT, Desk
from tests.project import letter, reply_to

EVES, CODE = "eve@elsewhere.example", "VERIFY-774411"
TELLS_A_PROGRAM = re.compile(
    rb"(?mi)^(?:auto-submitted|x-auto-response-suppress|x-loop|return-path|precedence):.*\r?\n"
)
SLOW = (pytest.mark.soak, pytest.mark.timeout(1800))


def answering(desk: Desk, when: str = "!message.reference && !message.automatic") -> Desk:
    """The desk makes an incident of such mails, and answers each."""
    then = [
        *INCIDENT["then"],  # type: ignore[misc]
        {"send_mail": {"template": "received", "to": {"js": "message.from.address"}}},
    ]
    desk.rule("incident", INCIDENT | {"when": when, "then": then})
    desk.folder.template("received", en_subject="Thanks {{ record.title }}", en_txt="Thank you.")
    return desk


def taken(desk: Desk) -> list[bytes]:
    """What the desk has sent since this was last asked."""
    folder = desk.root / "mail/sent/new"
    files = sorted(folder.iterdir()) if folder.exists() else []
    mails = [file.read_bytes() for file in files]
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(exist_ok=True)
    return mails


def told(report: PassReport, part: str) -> list[str]:
    return [line for line in report.not_done if part in line]


@pytest.mark.parametrize("stripped", [False, True])
def test_fault_54_our_own_mail_that_comes_back_starts_nothing(desk: Desk, stripped: bool) -> None:
    """A customer's redirection, a list or an alias; some take the headers off that tell."""
    answering(desk, when="!message.automatic")
    desk.drop(letter("Request"))
    desk.healthy_poll()
    (ours,) = taken(desk)

    for _ in range(5):
        desk.drop((TELLS_A_PROGRAM.sub(b"", ours) if stripped else ours) + b"\r\nagain\r\n")
        desk.healthy_poll()
        ours += b" "

    assert desk.titles() == ["Request"]
    assert taken(desk) == []
    back = desk.rows("SELECT kind, record_key FROM kolibri_message WHERE id > 2")
    assert set(back) == {("own", "1")}, "each is there, with its record"


def test_fault_54_a_rule_that_asks_for_nothing_does_not_answer_our_own_mail(desk: Desk) -> None:
    desk.drop(letter("Request"))
    answering(desk, when="true")
    then = [{"send_mail": {"template": "received", "to": {"list": "everybody@list.example"}}}]
    desk.rule("announce", {"order": 200, "when": "true", "then": then})
    desk.healthy_poll()
    ours = [mail for mail in taken(desk) if b"everybody@list.example" in mail]

    desk.drop(TELLS_A_PROGRAM.sub(b"", ours[0]).replace(b"support@", b"list@", 1))
    report = desk.healthy_poll()

    assert taken(desk) == []
    assert told(report, "our own mail caused"), report.not_done


def test_fault_46_a_loop_through_a_list_ends_and_is_told(desk: Desk) -> None:
    """Rule A sends to a list, the list sends to us, that triggers rule A."""
    desk.folder.document(
        "rules/outbound/incident/tell.yaml",
        {
            "on": ["insert", "update"],
            "template": "received",
            "mailbox": "support",
            "to": [{"list": "everybody@list.example"}],
        },
    )
    desk.folder.template("received", en_subject="News", en_txt="News.")
    update = [{"update_record": {"set": {"title": "message.received"}}}]
    desk.rule("touch", {"order": 1, "when": "message.reference !== null", "then": update})
    desk.drop(letter("Request"))
    out = 0
    reports = []
    for _ in range(30):
        reports.append(desk.healthy_poll())
        for mail in taken(desk):
            out += 1
            desk.drop(TELLS_A_PROGRAM.sub(b"", mail))
    assert out == 1
    assert sum(report.counts["held"] for report in reports) == 1
    assert any(told(report, "our own mail caused, which came back") for report in reports)
    ((error,),) = desk.rows("SELECT error FROM kolibri_outbox WHERE state = 'held'")
    assert "a loop" in error


def test_fault_46_two_absent_colleagues_do_not_write_to_each_other_through_us(desk: Desk) -> None:
    """Each out-of-office note changes the record, which is told to the other."""
    people = "anna@inside.example, bob@inside.example"
    desk.folder.document(
        "rules/outbound/incident/tell.yaml",
        {
            "on": ["insert", "update"],
            "template": "received",
            "mailbox": "support",
            "to": [{"js": "record.caller.split(',').map(x => x.trim())"}],
        },
    )
    desk.folder.template("received", en_subject="News", en_txt="News.")
    set_caller = {"title": "message.subject", "caller": f'"{people}"'}
    made = [{"create_record": {"entity": "incident", "set": set_caller}}]
    desk.rule("incident", INCIDENT | {"then": made})
    update = [{"update_record": {"set": {"title": "String(message.id)"}}}]
    desk.rule("touch", {"order": 1, "when": "message.reference !== null", "then": update})
    desk.drop(letter("Request"))
    out = 0
    for _ in range(30):
        desk.healthy_poll()
        for raw in taken(desk):
            out += 1
            envelope = message_from_bytes(raw, policy=policy.default)
            absent = str(envelope["To"] or people).split(",")
            for who in absent:
                note = reply_to(raw, "Away.", sender=who.strip(), auto_submitted="auto-replied")
                desk.drop(note)
    assert out <= 5, "one to both, then at most one to each, and one more round"
    ((error,),) = desk.rows("SELECT error FROM kolibri_outbox WHERE state = 'held' LIMIT 1")
    assert "no person wrote between them: a loop" in error


@pytest.mark.parametrize("strip", [False, True])
def test_fault_55_a_thousand_rounds_between_two_desks(new_desk: NewDesk, strip: bool) -> None:
    ours, theirs = answering(new_desk()), answering(new_desk())
    theirs.mailbox(address="help@other.example")
    ours.drop(letter("Request", sender="help@other.example"))
    out = {"ours": 0, "theirs": 0}
    quiet = 0
    for _ in range(1_000):
        moved = 0
        for name, sender, receiver in (("ours", ours, theirs), ("theirs", theirs, ours)):
            sender.healthy_poll()
            for mail in taken(sender):
                moved += 1
                receiver.drop(TELLS_A_PROGRAM.sub(b"", mail) if strip else mail)
            out[name] += moved
        quiet = 0 if moved else quiet + 1
        if quiet == 20:  # nothing is under way any more: 980 rounds of nothing are as good
            break
    assert 1 <= out["ours"] <= 2
    assert out["theirs"] <= 2


def forged(token: str, number: int, chance: Random) -> tuple[str, str]:
    """A wrong token, and what sort it is."""
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    place = chance.randrange(len(token))
    other = chance.choice(alphabet.replace(token[place], ""))
    return {
        0: (token[:place] + other + token[place + 1 :], "changed"),
        1: (token[: 40 + number % 10], "cut"),
        2: ("".join(chance.choices(alphabet, k=len(token))), "made up"),
        3: (chance.choice(alphabet) + token[1:] if token[0] != "a" else "b" + token[1:], "key id"),
        4: (token[::-1], "reversed"),
    }[number % 5]


def attack(desk: Desk, other: Desk, number: int) -> PassReport:
    """So many forged, foreign and replayed references, in every carrier, to a desk of two records.

    Half of them in Anna's name, who is known to the first record.
    """
    for one in (desk, other):
        answering(one)
        one.drop(letter("Request"), letter("Another", sender="tom@customer.example"))
        one.healthy_poll()
    answers = {str(m["To"]): m for m in desk.sent()}
    tom = answers["tom@customer.example"]
    foreign = str(other.sent()[0]["Message-ID"]).strip("<>").split(".")[1].split("@")[0]
    token = str(tom["Message-ID"]).strip("<>").split(".")[1].split("@")[0]
    chance = Random(7)
    mails = []
    for n in range(number):
        wrong, _ = (foreign, "foreign") if n % 6 == 5 else forged(token, n, chance)
        who = "Anna <anna@customer.example>" if n % 2 else f"eve{n}@elsewhere.example"
        place = n % 4
        mails.append(
            letter(
                "[INC-000002 " + wrong[:10] + "]" if place == 3 else f"Forgery {n}",
                f"kr1:{wrong}" if place == 2 else "Let me in.",
                sender=who,
                to=f"support+{wrong}@kolibri.example" if place == 1 else "support@kolibri.example",
                **({"in_reply_to": f"<kr1.{wrong}@kolibri.example>"} if place == 0 else {}),
            )
        )
    # Replayed: Tom's own token, right to the last bit, in other people's mails.
    replayed = [letter(f"Replay {n}", sender=EVES, to=str(tom["Reply-To"])) for n in range(20)]
    desk.drop(*mails, *replayed)
    return desk.healthy_poll()


@pytest.mark.parametrize("number", [200, pytest.param(10_000, marks=SLOW)])
def test_fault_56_of_forged_references_none_is_attached_as_verified(
    new_desk: NewDesk, number: int
) -> None:
    desk, other = new_desk(), new_desk()
    for one in (desk, other):
        one.mailbox(plus_addressing=True)

    report = attack(desk, other, number)

    grades = dict(
        desk.rows("SELECT grade, count(*) FROM kolibri_message WHERE direction='in' GROUP BY grade")
    )
    assert grades.pop("created") == number + 2, "each forgery is a mail like any other"
    assert grades == {"stranger": 20}, "the replayed ones are seen as a stranger's"
    assert report.counts["forged"] >= number * 0.9
    assert len(report.not_done) < 400, "and the report is not drowned"
    assert told(report, "more mails whose references have a wrong signature") or number < 300


def test_fault_56_a_key_that_has_leaked_is_revoked(desk: Desk) -> None:
    desk.mailbox(plus_addressing=True)
    answering(desk)
    desk.drop(letter("Request"))
    desk.healthy_poll()
    (ours,) = desk.sent()
    to = str(ours["Reply-To"])
    desk.drop(letter("By address", to=to))
    desk.healthy_poll()
    with desk.system.store.write() as tx:
        keys.revoke(tx, 1)

    desk.drop(letter("By address again", to=to), reply_to(ours.as_bytes(), "By its id."))
    desk.healthy_poll()

    rows = desk.rows(
        "SELECT record_key, grade FROM kolibri_message WHERE direction = 'in' ORDER BY id"
    )
    assert rows == [("1", "created"), ("1", "signed"), ("2", "created"), ("1", "header")]


def test_fault_57_a_spoofed_sender_is_nobody(desk: Desk) -> None:
    """The subject tag was leaked; the sender is forged, and our border server says so."""
    desk.mailbox(trusted_authserv=["mx.kolibri.example"])
    answering(desk)
    desk.drop(letter("Request"))
    desk.healthy_poll()
    (ours,) = desk.sent()
    headers = {
        "authentication_results": "mx.kolibri.example; dmarc=fail header.from=customer.example"
    }

    desk.drop(reply_to(ours.as_bytes(), "Let me in.", carriers={"subject"}, **headers))
    desk.drop(reply_to(ours.as_bytes(), "And me.", carriers={"references"}, **headers))
    desk.healthy_poll()

    rows = desk.rows("SELECT record_key, grade FROM kolibri_message WHERE direction='in'")
    assert rows == [("1", "created"), ("2", "created"), ("1", "stranger")]


def test_fault_58_a_code_sent_to_a_record_is_not_told_outside(desk: Desk) -> None:
    """Eve has an incident; she gives its reply address to a service as her own (Ticket Trick)."""
    desk.mailbox(plus_addressing=True)
    desk.folder.template("received", en_subject="Thanks", en_txt="Thank you.")
    desk.folder.template(
        "news",
        en_subject="News of {{ record.number }}",
        en_txt="{{ record.title }} {{ message.text if message else '' }}",
    )
    then = [
        *INCIDENT["then"],  # type: ignore[misc]
        {"send_mail": {"template": "received", "to": {"field": "caller"}}},
    ]
    desk.rule("incident", INCIDENT | {"then": then})
    quoting = [
        {"update_record": {"set": {"title": "message.reply_text"}}},
        {"send_mail": {"template": "news", "to": {"field": "caller"}}},
        {"send_mail": {"template": "news", "to": {"js": "message.from.address"}}},
    ]
    desk.rule("tell", {"order": 200, "when": "message.reference !== null", "then": quoting})
    desk.folder.document(
        "rules/outbound/incident/tell.yaml",
        {"on": "update", "template": "news", "mailbox": "support", "to": {"field": "caller"}},
    )
    desk.drop(letter("Hello", sender=EVES))
    desk.healthy_poll()
    (answer,) = desk.sent()
    address = str(answer["Reply-To"])
    taken(desk)

    for number in range(3):
        code = letter("Confirm", f"Your code: {CODE}", sender="noreply@chat.example", to=address)
        desk.drop(code + b"\r\n" * number)
        report = desk.healthy_poll()
        assert told(report, "to outside people that a stranger's mail caused"), report.not_done

    assert [mail for mail in taken(desk) if CODE.encode() in mail or EVES.encode() in mail] == []
    grades = desk.column("SELECT grade FROM kolibri_message WHERE from_address LIKE 'noreply%'")
    assert grades == ["stranger"] * 3, "having written does not make anybody known"
    held = desk.rows("SELECT recipients FROM kolibri_outbox WHERE state = 'held'")
    assert len(held) == 7, "a person can look at them, and release them"
    assert desk.column("SELECT count(*) FROM kolibri_activity WHERE text LIKE '%VERIFY%'") != [0]


@pytest.mark.parametrize("number", [300, pytest.param(10_000, marks=SLOW)])
def test_fault_59_a_flood_of_forged_senders(desk: Desk, number: int) -> None:
    answering(desk)
    desk.mailbox(answers_per_hour_in_total=20, answers_per_hour_to_domain=15)
    senders = [f"p{n}@{'victim' if n % 2 else f'd{n}'}.example" for n in range(number)]
    desk.drop(*(letter(f"Request {n}", sender=who) for n, who in enumerate(senders)))

    report = desk.healthy_poll()

    assert report.counts["records"] == number, "no mail is lost"
    assert report.counts["sent"] == len(taken(desk)) == 20
    assert report.counts["held"] == number - 20
    assert len(report.not_done) <= 3
    assert told(report, "answers_per_hour_in_total of mailbox support"), report.not_done
    states = dict(desk.rows("SELECT state, count(*) FROM kolibri_outbox GROUP BY state"))
    assert states == {"sent": 20, "held": number - 20}
    assert desk.healthy_poll().counts["sent"] == 0


def test_fault_59_a_domain_is_not_flooded(desk: Desk) -> None:
    answering(desk)
    desk.mailbox(answers_per_hour_to_domain=5)
    desk.drop(*(letter(f"Request {n}", sender=f"p{n}@victim.example") for n in range(20)))
    desk.drop(letter("Mine", sender="anna@customer.example"))

    report = desk.healthy_poll()

    assert (report.counts["records"], report.counts["sent"]) == (21, 6)
    assert told(report, "15 held: answers_per_hour_to_domain of mailbox support; see `kolibri")
