"""report.html: one run on one self-contained page. No addresses in it; errors.csv has them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import resources
from typing import Any

import jinja2

from syncengine.catalogue import BY_CODE

_PAGE = resources.files("syncengine").joinpath("templates/report.html").read_text(encoding="utf-8")
_TEMPLATE = jinja2.Environment(autoescape=True, trim_blocks=True).from_string(_PAGE)


def render(report: Mapping[str, Any], refused: Sequence[tuple[str, str, int]], *, source: str, at: datetime) -> str:
    """The page. `report` is what `sync --json` prints for the run; `refused` (stage, code, count) of its verdicts;
    `source` what the rows came from; `at` when it is written, in UTC.
    """
    reasons = [
        {"stage": stage, "code": code, "count": count, **_meaning(code)}
        for stage, code, count in (*(("held", c, n) for c, n in report["held_by_code"].items()), *refused)
    ]
    parts = [
        {"name": "confirmed", "style": "ok", "count": sum(report["confirmed"].values())},
        {"name": "unchanged", "style": "same", "count": report["same"]},
        {"name": "held", "style": "held", "count": report["held"]},
        {"name": "rejected", "style": "bad", "count": report["rejected"]},
        {"name": "unresolved", "style": "bad", "count": report["unresolved"]},
        {"name": "pending", "style": "pending", "count": report["pending"]},
    ]
    return _TEMPLATE.render(report=report, parts=parts, reasons=reasons, source=source, at=at)


def _meaning(code: str) -> dict[str, str]:
    entry = BY_CODE.get(code)
    return {"meaning": entry.meaning if entry else "", "advice": entry.advice if entry else ""}
