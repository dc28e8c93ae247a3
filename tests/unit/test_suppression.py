"""What a word that somebody left makes of what we know of them."""

from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncengine.frames import CONTENT_UNKNOWN, LEFT_SOURCE, SNAPSHOT_SCHEMA
from syncengine.leaving import COMPLAINT, HARD, KINDS, REMOVED, UNSUBSCRIBED, Suppression, joined, told_left
from syncengine.suppression import learn, lowered

CONFIRMED = datetime(2026, 1, 1, 12, tzinfo=UTC)
BEFORE, AFTER = CONFIRMED.timestamp() - 60, CONFIRMED.timestamp() + 60
CERTAIN = pl.Series("key", [], dtype=pl.String)


def held(address: str, *, active: bool = True, fingerprint: int = 77) -> pl.DataFrame:
    row = (address, 1, address, address, None, active, "[]", fingerprint, "sync", CONFIRMED)
    return pl.DataFrame([row], schema=SNAPSHOT_SCHEMA, orient="row")


def word(kind: str, at: float = AFTER, address: str = "a@example.com") -> Suppression:
    return Suppression(address, kind, at, at)


def outcome(row: pl.DataFrame, *words: Suppression, doubt: pl.Series = CERTAIN) -> object:
    learned = learn(row, words, doubt)
    if learned.removed.height:
        return "gone"
    if learned.upserts.is_empty():
        return "as it was"
    return learned.upserts.select("active", "fingerprint").row(0)


@pytest.mark.parametrize(
    ("row", "words", "becomes"),
    [
        (held("a@example.com"), [word(UNSUBSCRIBED)], (False, CONTENT_UNKNOWN)),
        (held("a@example.com"), [word(REMOVED)], "gone"),
        # the list may still have them as subscribed: looked at again by the next plan, which sends them as off
        (held("a@example.com"), [word(HARD)], (True, CONTENT_UNKNOWN)),
        (held("a@example.com"), [word(COMPLAINT)], (True, CONTENT_UNKNOWN)),
        (held("a@example.com"), [word(UNSUBSCRIBED, BEFORE)], (True, CONTENT_UNKNOWN)),
        (held("a@example.com"), [word(REMOVED, BEFORE)], (True, CONTENT_UNKNOWN)),
        # nothing is left to be learned
        (held("a@example.com", active=False), [word(UNSUBSCRIBED)], "as it was"),
        (held("a@example.com", active=False), [word(COMPLAINT)], "as it was"),
        (held("a@example.com", active=False, fingerprint=LEFT_SOURCE), [word(UNSUBSCRIBED)], "as it was"),
        (held("a@example.com", active=False), [word(REMOVED)], "gone"),
        (held("a@example.com", fingerprint=CONTENT_UNKNOWN), [word(HARD)], "as it was"),
        (held("b@example.com"), [word(UNSUBSCRIBED)], "as it was"),
        # the strictest word counts, and the latest time
        (held("a@example.com"), [word(UNSUBSCRIBED), word(REMOVED, BEFORE)], "gone"),
        (held("a@example.com"), [word(COMPLAINT, BEFORE), word(UNSUBSCRIBED)], (True, CONTENT_UNKNOWN)),
    ],
)
def test_what_a_contact_becomes(row: pl.DataFrame, words: list[Suppression], becomes: object) -> None:
    assert outcome(row, *words) == becomes
    assert outcome(row, *reversed(words)) == becomes


def test_a_contact_that_a_late_request_may_still_change_is_not_taken_for_off() -> None:
    doubt = pl.Series("key", ["a@example.com"])

    assert outcome(held("a@example.com"), word(UNSUBSCRIBED), doubt=doubt) == (True, CONTENT_UNKNOWN)
    assert outcome(held("a@example.com"), word(REMOVED), doubt=doubt) == (True, CONTENT_UNKNOWN)


def test_whoever_left_while_being_confirmed_is_off() -> None:
    rows = pl.concat([held("a@example.com"), held("b@example.com"), held("c@example.com", active=False)])

    result = lowered(rows.lazy(), pl.Series(["a@example.com", "c@example.com"])).collect()

    assert result.select("active", "fingerprint").rows() == [(False, CONTENT_UNKNOWN), (True, 77), (False, 77)]


words_of_anybody = st.lists(
    st.builds(
        Suppression,
        st.sampled_from(["a@example.com", "b@example.com"]),
        st.sampled_from(KINDS),
        st.floats(0, 1e9),
        st.floats(0, 1e9),
    ),
    max_size=8,
)


@given(words_of_anybody, st.randoms())
def test_w2_neither_order_nor_copies_change_what_is_known(words: list[Suppression], chance: object) -> None:
    shuffled = [*words, *words[: len(words) // 2]]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]

    assert joined(shuffled) == joined(words)


@given(words_of_anybody, words_of_anybody)
def test_w2_what_is_learned_bit_by_bit_is_what_is_learned_at_once(
    some: list[Suppression], others: list[Suppression]
) -> None:
    assert joined([*joined(some).values(), *joined(others).values()]) == joined([*some, *others])


def test_who_left_is_told_in_a_sentence() -> None:
    assert told_left({}) == ""
    assert told_left({"removed": 1}) == "1 person left since the last run: 1 removed"
    assert (
        told_left({"complaint": 1, "unsubscribed": 1202, "hard": 2})
        == "1,205 people left since the last run: 1,202 unsubscribed, 2 bounced for good, 1 complained"
    )
