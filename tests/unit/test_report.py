"""A report adds up or is an error of ours, and prints exactly the fields that are promised."""

import dataclasses
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncengine.errors import InternalError
from syncengine.model import Op
from syncengine.report import EXIT_CODES, Report, Result

REPORT = Report(
    job="newsletter",
    list="5537ab2a08d241dc69326b19",
    run="0198",
    result=Result.OK,
    rows=128_274,
    held=238,
    same=115_745,
    planned={Op.ADD: 9_214, Op.UPDATE: 3_077, Op.UNSUBSCRIBE: 128},
    confirmed={Op.ADD: 9_207, Op.UPDATE: 3_077, Op.UNSUBSCRIBE: 128},
    rejected=7,
    variables_created=("favouriteColour",),
    requests=130,
    retries=3,
    seconds=14.23,
    paths={"run": ".syncengine/runs/0198", "errors": ".syncengine/runs/0198/errors.csv"},
)


def test_the_json_is_the_documented_one() -> None:
    assert REPORT.to_json() == {
        "job": "newsletter",
        "list": "5537ab2a08d241dc69326b19",
        "run": "0198",
        "result": "ok",
        "rows": 128_274,
        "held": 238,
        "same": 115_745,
        "planned": {"add": 9_214, "update": 3_077, "rename": 0, "unsubscribe": 128, "remove": 0},
        "confirmed": {"add": 9_207, "update": 3_077, "rename": 0, "unsubscribe": 128, "remove": 0},
        "rejected": 7,
        "unresolved": 0,
        "pending": 0,
        "variables_created": ["favouriteColour"],
        "requests": 130,
        "retries": 3,
        "seconds": 14.2,
        "paths": {"run": ".syncengine/runs/0198", "errors": ".syncengine/runs/0198/errors.csv"},
        "held_by_code": {},
        "resumed": False,
        "left": {},
        "corrected": 0,
        "spared": "",
        "skipped": {},
    }
    assert json.loads(json.dumps(REPORT.to_json())) == REPORT.to_json()


def test_a_report_that_adds_up_passes() -> None:
    REPORT.check()
    Report("newsletter", "5537", "0198", Result.OK).check()


@pytest.mark.parametrize("field", ["rows", "held", "same", "rejected", "unresolved", "pending"])
@pytest.mark.parametrize("by", [-1, 1])
def test_one_contact_too_many_or_too_few_anywhere_is_an_error_of_ours(field: str, by: int) -> None:
    wrong = dataclasses.replace(REPORT, **{field: getattr(REPORT, field) + by})

    with pytest.raises(InternalError) as error:
        wrong.check()
    assert error.value.sent == "12412 contacts were confirmed"


@pytest.mark.parametrize("field", ["planned", "confirmed"])
@pytest.mark.parametrize("op", Op)
def test_one_change_too_many_of_any_operation_is_an_error_of_ours(field: str, op: Op) -> None:
    counts = getattr(REPORT, field)
    wrong = dataclasses.replace(REPORT, **{field: {**counts, op: counts.get(op, 0) + 1}})

    with pytest.raises(InternalError):
        wrong.check()


COUNTS = st.fixed_dictionaries({op: st.integers(0, 50) for op in Op})


@settings(deadline=None)
@given(COUNTS, st.integers(0, 50), st.integers(0, 50), st.lists(st.sampled_from(["r", "u", "p"]), max_size=50))
def test_every_way_to_account_for_every_row_and_contact_passes(
    confirmed: dict[Op, int], held: int, same: int, others: list[str]
) -> None:
    planned = {**confirmed, Op.ADD: confirmed[Op.ADD] + len(others)}
    Report(
        "newsletter",
        "5537",
        "0198",
        Result.REJECTED,
        rows=held + same + planned[Op.ADD] + planned[Op.UPDATE] + planned[Op.RENAME],
        held=held,
        same=same,
        planned=planned,
        confirmed=confirmed,
        rejected=others.count("r"),
        unresolved=others.count("u"),
        pending=others.count("p"),
    ).check()


def test_every_result_has_its_documented_exit_code() -> None:
    assert {result.value: EXIT_CODES[result] for result in Result} == {
        "ok": 0,
        "rejected": 3,
        "guard": 5,
        "interrupted": 130,
        "unavailable": 7,
        "refused": 4,
        "failed": 1,
    }
