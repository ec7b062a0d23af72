"""The token: what was minted verifies, and nothing else ever does."""

from __future__ import annotations

import base64
import random
import secrets
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kolibri_sdk import clock
from kolibri_sdk.model.entity import RecordKey
from kolibri_sdk.reference.token import TAG_LENGTH, Token, mint, subject_tag, verify

SECRET = bytes(range(32))
KEYS = {1: SECRET}
ENTITIES = ["lead", "incident"]
ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
MOMENT = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)


def of(key: str, entity: str = "incident") -> RecordKey:
    return RecordKey(entity=entity, key=key)


KEY_TEXTS = ["0", "7", "123456789", str(2**63), "-7", "007", "1e3", "A 7/ü", "2b6f0cc9", "x" * 59]


@pytest.mark.parametrize("key", KEY_TEXTS)
def test_what_was_minted_verifies(key: str) -> None:
    with clock.fixed(MOMENT):
        token = mint(of(key), 1, SECRET)
    assert verify(token, KEYS, ENTITIES) == Token(of(key), int(MOMENT.timestamp()))
    assert verify(token.upper(), KEYS, ENTITIES) is not None  # addresses change their case


@given(
    st.integers(0, 10**40).map(str)
    | st.text(min_size=1, max_size=14).filter(lambda text: text.isprintable())
)
def test_any_key_comes_back(key: str) -> None:
    token = verify(mint(of(key), 255, SECRET), {255: SECRET}, ENTITIES)
    assert token is not None
    assert token.record == of(key)


def test_two_tokens_of_one_moment_differ() -> None:
    with clock.fixed(MOMENT):
        assert mint(of("7"), 1, SECRET) != mint(of("7"), 1, SECRET)


@pytest.mark.parametrize("key", ["x" * 60, "ü" * 30, "9" * 200])
def test_a_key_that_is_too_long(key: str) -> None:
    with pytest.raises(ValueError, match="too long for a message reference"):
        mint(of(key), 1, SECRET)


def test_a_token_is_short_enough_for_an_address() -> None:
    token = mint(of(str(2**31)), 255, SECRET)
    assert len(f"support+{token}") <= 64
    assert set(token) <= set(ALPHABET)


def test_no_forged_token_verifies() -> None:
    """Ten thousand: one bit, one character, a part of another one, another key, noise."""
    chance = random.Random(7)
    tokens = [mint(of(str(n)), 1, SECRET) for n in range(50)]
    tried = 0
    for _ in range(2_000):
        token = chance.choice(tokens)
        data = bytearray(_bytes(token))
        bit = chance.randrange(len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        place = chance.randrange(len(token))
        other = chance.choice(ALPHABET.replace(token[place], ""))
        head, tail = _bytes(chance.choice(tokens)), _bytes(chance.choice(tokens))
        cut = chance.randrange(1, len(head))
        mixed = _text(head[:cut] + tail[cut:])
        foreign = mint(of("7"), 1, chance.randbytes(32))
        noise = _text(chance.randbytes(chance.randrange(80)))
        forged = [_text(bytes(data)), token[:place] + other + token[place + 1 :], foreign, noise]
        if mixed not in tokens:
            forged.append(mixed)
        forged.append(token[:place])
        for one in forged:
            assert verify(one, KEYS, ENTITIES) is None, one
            tried += 1
    assert tried > 10_000


def _bytes(token: str) -> bytes:
    return base64.b32decode(token.upper() + "=" * (-len(token) % 8))


def _text(data: bytes) -> str:
    return base64.b32encode(data).decode().rstrip("=").lower()


@given(st.text(max_size=200) | st.text(alphabet=ALPHABET, max_size=200))
def test_no_text_whatever_verifies_or_raises(text: str) -> None:
    assert verify(text, KEYS, ENTITIES) is None


def test_only_one_spelling_counts() -> None:
    """The last character of base32 has spare bits: another one could stand for the same bytes."""
    token = mint(of("7"), 1, SECRET)
    alike = [
        token[:-1] + letter
        for letter in ALPHABET
        if letter != token[-1] and _bytes(token[:-1] + letter) == _bytes(token)
    ]
    assert alike, "this token has no spare bits; take another key"
    for other in (*alike, token + "=", token + "a", " " + token, token + "\n"):
        assert verify(other, KEYS, ENTITIES) is None, other


def test_another_key_another_entity() -> None:
    token = mint(of("7"), 1, SECRET)
    assert verify(token, {}, ENTITIES) is None
    assert verify(token, {2: SECRET}, ENTITIES) is None
    assert verify(token, {1: secrets.token_bytes(32)}, ENTITIES) is None
    assert verify(token, KEYS, ["lead"]) is None


def test_the_tag_belongs_to_record_and_secret() -> None:
    tag = subject_tag(of("7"), SECRET)
    assert len(tag) == TAG_LENGTH
    assert tag == subject_tag(of("7"), SECRET)
    others = [of("8"), of("7", "lead"), of("", "incident7")]
    assert tag not in [subject_tag(one, SECRET) for one in others]
    assert tag != subject_tag(of("7"), b"another")
