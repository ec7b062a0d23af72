"""Errors: one tree, each says what happened and what to do next."""

from __future__ import annotations

import copy
import pickle

import pytest

from kolibri_sdk import errors
from kolibri_sdk.errors import (
    ConfigurationError,
    KolibriError,
    LoginRefused,
    MailboxError,
    NotFound,
    PermanentSendError,
    Problem,
)

CLASSES = [
    getattr(errors, name)
    for name in errors.__all__
    if isinstance(getattr(errors, name), type) and issubclass(getattr(errors, name), KolibriError)
]
SAMPLES = [
    KolibriError("It broke", "Mend it"),
    ConfigurationError("Wrong", "Look", problems=[Problem("a.yaml", "odd", "write even", 3, 7)]),
    NotFound.named("rule", "spm", ["spam"]),
    LoginRefused("support", "the server said no", "Check the password"),
    PermanentSendError("no such user", code=550),
]


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {}
    path: list[str] = []
    assert errors.__doc__ is not None
    for line in errors.__doc__.splitlines():
        name = line.strip().removeprefix("- ").split("`")
        if len(name) > 2 and line.strip().startswith("- "):
            depth = (len(line) - len(line.lstrip())) // 4
            path = [*path[:depth], name[2]]
            drawn[path[-1]] = path[-2] if depth else None
    real = {
        one.__name__: next(
            (base.__name__ for base in one.__mro__[1:] if base in CLASSES),
            None,
        )
        for one in CLASSES
    }
    assert drawn == real


def test_an_error_says_what_happened_and_what_to_do() -> None:
    assert str(KolibriError("It broke", "Mend it")) == "It broke. Mend it"
    assert str(KolibriError("It broke")) == "It broke"


def test_an_error_of_a_mailbox_names_it() -> None:
    error = LoginRefused("support", "the server said no", "Check the password")
    assert str(error) == "Mailbox support: the server said no. Check the password"
    assert error.mailbox == "support"
    assert isinstance(error, MailboxError)


def test_problems_stand_below_each_other() -> None:
    told = str(SAMPLES[1])
    assert told == "Wrong. Look\n  a.yaml:3:7: odd. Mend: write even"


@pytest.mark.parametrize(
    ("problem", "told"),
    [
        (Problem("a.yaml", "odd"), "a.yaml: odd"),
        (Problem("a.yaml", "odd", line=3), "a.yaml:3: odd"),
        (Problem("a.yaml", "odd", severity="warning"), "a.yaml: warning: odd"),
    ],
)
def test_a_problem_names_its_place(problem: Problem, told: str) -> None:
    assert str(problem) == told


@pytest.mark.parametrize(
    ("known", "step"),
    [(["spam", "vpn"], "Did you mean 'spam'?"), (["b", "a"], "There are: a, b"), ([], "")],
)
def test_what_is_not_there_has_near_names(known: list[str], step: str) -> None:
    error = NotFound.named("rule", "spm", known)
    assert (error.what, error.next_step) == ("There is no rule 'spm'", step)
    assert isinstance(error, LookupError)


@pytest.mark.parametrize("again", [copy.copy, lambda e: pickle.loads(pickle.dumps(e))])
@pytest.mark.parametrize("error", SAMPLES, ids=lambda e: type(e).__name__)
def test_an_error_survives_the_way_to_another_process(error: KolibriError, again: object) -> None:
    same = again(error)  # type: ignore[operator]
    assert type(same) is type(error)
    assert str(same) == str(error)
    assert vars(same) == vars(error)
