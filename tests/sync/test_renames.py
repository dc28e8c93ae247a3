"""Contacts identified by an id: a change of address is one call, in the right order, and nobody loses theirs."""

import polars as pl
import pytest

from syncengine.model import Call, Consent, Mode, NoAnswer, Op, Partial
from syncengine.report import Result
from syncengine.testing import FrameSource, MemoryDestination, Trial, run_sync

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _by_id(trial: Trial) -> None:
    trial.key = "id"


def crm(**addresses: str) -> FrameSource:
    """id → address."""
    return FrameSource(
        pl.DataFrame(
            {
                "id": list(addresses),
                "email": [f"{address}@example.com" for address in addresses.values()],
                "active": ["yes"] * len(addresses),
            },
            schema=dict.fromkeys(("id", "email", "active"), pl.String),
        )
    )


def on_list(to: MemoryDestination) -> set[str]:
    return {key.removesuffix("@example.com") for key in to.contacts}


def known(trial: Trial) -> dict[str, str]:
    rows = trial.state.snapshot().rows_at(range(trial.state.snapshot().size))
    return {key: email.removesuffix("@example.com") for key, email in rows.select("key", "email").iter_rows()}


async def test_a_change_of_address_is_one_call(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, crm(x="a", y="b"))
    to.sent.clear()

    report = (await run_sync(trial, crm(x="new", y="b"))).report

    assert (report.confirmed[Op.RENAME], report.same) == (1, 1)
    assert to.sent == [(Call.RENAME, ("a@example.com",))]
    assert (on_list(to), known(trial)) == ({"new", "b"}, {"x": "new", "y": "b"})
    assert (await run_sync(trial, crm(y="b", x="new"))).report.same == 2


async def test_a_chain_of_renames_goes_tail_first(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, crm(x="a", y="b", z="c"))
    to.sent.clear()

    report = (await run_sync(trial, crm(x="b", y="c", z="d", new="a"))).report

    assert [emails for call, emails in to.sent if call is Call.RENAME] == [
        ("c@example.com",),
        ("b@example.com",),
        ("a@example.com",),
    ]
    assert (report.confirmed[Op.RENAME], report.confirmed[Op.ADD], report.result) == (3, 1, Result.OK)
    assert known(trial) == {"x": "b", "y": "c", "z": "d", "new": "a"}


async def test_a_swap_is_held_naming_both_and_the_rest_goes_on(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, crm(x="a", y="b", z="c"))

    report = (await run_sync(trial, crm(x="b", y="a", z="d"))).report

    assert (report.held_by_code, report.confirmed[Op.RENAME]) == ({"rename-swap": 2}, 1)
    assert on_list(to) == {"a", "b", "d"}


async def test_an_address_another_contact_keeps_is_not_taken(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, crm(x="a", y="b"))
    requests = to.requests

    report = (await run_sync(trial, crm(x="b", y="b", z="b"))).report

    assert report.held_by_code in ({"address-shared": 1, "rename-taken": 1}, {"address-shared": 2})
    assert (report.same, to.requests) == (1, requests)


async def test_the_last_claimant_keeps_the_contact_when_its_owner_leaves(trial: Trial, to: MemoryDestination) -> None:
    trial.mode = Mode.MIRROR
    await run_sync(trial, crm(x="a", y="b"))
    await run_sync(trial, crm(x="a", y="b", z="a"))
    requests = to.requests

    report = (await run_sync(trial, crm(z="a", y="b"))).report

    assert (report.planned[Op.UNSUBSCRIBE], report.same, to.requests) == (0, 2, requests)
    assert to.contacts["a@example.com"].active is True
    assert known(trial) == {"z": "a", "y": "b"}
    assert (await run_sync(trial, crm(y="b", z="a"))).report.same == 2


async def test_a_rename_whose_answer_was_lost_makes_one_contact_not_two(trial: Trial, to: MemoryDestination) -> None:
    await run_sync(trial, crm(x="a"))
    to.contacts["new@example.com"] = to.contacts.pop("a@example.com")  # carried out, and the answer lost

    report = (await run_sync(trial, crm(x="new"))).report

    assert (report.confirmed[Op.RENAME], on_list(to)) == (1, {"new"})


async def test_a_rename_never_subscribes_anybody(trial: Trial, to: MemoryDestination) -> None:
    trial.consent = Consent.KEEP
    await run_sync(trial, crm(x="a"))
    to.contacts["a@example.com"].active = False
    trial.state.suppressed = ["a@example.com", "new@example.com"]

    await run_sync(trial, crm(x="new"))

    assert to.contacts["new@example.com"].active is False
    assert to.raised == []


async def test_two_new_rows_with_one_address_are_one_contact(trial: Trial, to: MemoryDestination) -> None:
    report = (await run_sync(trial, crm(x="a", y="a"))).report

    assert (report.held_by_code, known(trial)) == ({"address-shared": 1}, {"y": "a"})


async def test_ids_are_kept_as_they_are_spelled(trial: Trial) -> None:
    await run_sync(trial, crm(**{"007": "a", "7": "b", "A": "c", "a": "d"}))

    assert known(trial) == {"007": "a", "7": "b", "A": "c", "a": "d"}


@pytest.mark.parametrize("answer", [NoAnswer("reset"), Partial(0, ())])
async def test_an_odd_answer_to_a_rename_is_asked_again(
    trial: Trial, to: MemoryDestination, answer: NoAnswer | Partial
) -> None:
    await run_sync(trial, crm(x="a", y="b"))
    to.fail_next.append(answer)  # type: ignore[arg-type]

    report = (await run_sync(trial, crm(x="c", y="d"))).report

    assert (report.confirmed[Op.RENAME], on_list(to)) == (2, {"c", "d"})
