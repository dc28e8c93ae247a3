"""report.html is one self-contained page of the run's numbers, with nothing in it that acts or names anybody."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from syncengine.catalogue import BY_CODE
from syncengine.html_report import render
from syncengine.model import Op
from syncengine.report import Report, Result

REPORT = Report(
    job="newsletter",
    list="5537ab2a08d241dc69326b19",
    run="01980000-aaaa-bbbb",
    result=Result.REJECTED,
    rows=12_774,
    held=238,
    same=10_236,
    planned={Op.ADD: 2_000, Op.UPDATE: 300, Op.UNSUBSCRIBE: 5},
    confirmed={Op.ADD: 1_993, Op.UPDATE: 300, Op.UNSUBSCRIBE: 5},
    rejected=6,
    unresolved=1,
    requests=1_130,
    retries=3,
    seconds=14.26,
    held_by_code={"duplicate": 200, "email-empty": 38},
    variables_created=("city", "birthDate"),
)
REFUSED = [("rejected", "unknown-text", 6), ("unresolved", "no-answer", 1)]


def page(refused: list[tuple[str, str, int]] | None = None, **changes: Any) -> str:
    counts = REFUSED if refused is None else refused
    at = datetime(2026, 5, 1, 3, 10, tzinfo=UTC)
    return render({**REPORT.to_json(), **changes}, counts, source="contacts-05.csv", at=at)


def text(html: str) -> str:
    """What a reader sees, blanks folded."""
    body = html.partition("</style>")[2]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", body))


def test_the_numbers_of_the_run_are_there() -> None:
    shown = text(page())

    assert "newsletter: rejected" in shown
    assert "contacts-05.csv, 12,774 rows · 2026-05-01 03:10 UTC" in shown
    assert "14.3 s · 1,130 requests, 3 retries" in shown
    assert "2,298 confirmed · 10,236 unchanged · 238 held · 6 rejected · 1 unresolved" in shown
    assert "add 2,000 1,993 update 300 300 rename 0 0 unsubscribe 5 5 remove 0 0" in shown
    assert "Variables created: city, birthDate" in shown


@pytest.mark.parametrize(
    ("stage", "code", "count"),
    [("held", "duplicate", 200), ("held", "email-empty", 38), *REFUSED],
)
def test_each_reason_is_told_with_its_number_meaning_and_advice(stage: str, code: str, count: int) -> None:
    entry = BY_CODE[code]

    assert f"{stage} {code} {count} {entry.meaning} {entry.advice}" in text(page())


def test_a_clean_run_has_no_table_of_reasons() -> None:
    shown = text(page([], held_by_code={}, held=0, rejected=0, unresolved=0, variables_created=[]))

    assert "Not sent" not in shown
    assert "Variables created" not in shown
    assert "rejected ·" not in shown


def test_an_unknown_code_is_shown_bare() -> None:
    assert "rejected of-tomorrow 3" in text(page([("rejected", "of-tomorrow", 3)]))


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    html = page()

    assert re.findall(r"https?:|<script|<link|<img|<iframe|@import|url\(|\son\w+=", html) == []


@pytest.mark.parametrize("field", ["job", "list", "run", "result"])
def test_names_are_shown_as_text(field: str) -> None:
    html = page(**{field: "</title><script>alert('x')</script>"})

    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_codes_and_variables_are_shown_as_text() -> None:
    html = page([('"><b>', '"><i>', 1)], variables_created=["<u>"], held_by_code={"<em>": 2})

    assert re.findall(r"<(b|i|u|em)>", html) == []
