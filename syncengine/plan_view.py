"""A frozen plan as numbers and lines for people."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl

from syncengine.durable import drafted
from syncengine.frames import ADDRESS, AFTER, EMAIL, FIELDS, KEY, OP, ROW, SOURCE, VARIABLES
from syncengine.guarded import guarded
from syncengine.leaving import told_left
from syncengine.model import Op
from syncengine.prepare import Prepared
from syncengine.redaction import mask_addresses

SAMPLES: Final = 5
DIFFERENCES_FILE: Final = "differences.csv"
_USUAL: Final = {("quote", '"'), ("line ends", "LF"), ("line ends", "CRLF"), ("header", "line 1")}
"""Facts of a source that nobody needs to be told."""
_WITH_FIELDS: Final = (Op.UPDATE, Op.RENAME)
_NOT_SHOWN: Final = (SOURCE, VARIABLES, AFTER, ADDRESS)


def view_plan(
    prepared: Prepared, job: str, list_id: str, *, synced: str, rate: float, why: Sequence[str], show_pii: bool
) -> dict[str, Any]:
    """Everything `plan` shows, as plain values."""
    facts = prepared.facts
    requests = prepared.plan.batches + (1 if facts.variables else 0)
    return {
        "job": job,
        "list": list_id,
        "run": prepared.run,
        "source": prepared.source["name"],
        "rows": facts.rows,
        "columns": len(prepared.columns),
        "facts": [
            f"{name}: {value}" for name, value in prepared.source["facts"].items() if (name, value) not in _USUAL
        ],
        "left": told_left(facts.left),
        "warnings": [
            *([facts.alarm] if facts.alarm else []),
            *prepared.source["warnings"],
            *facts.questions,
            *_leaver_notes(prepared),
        ],
        "known": facts.known,
        "synced": synced,
        "why": list(why),
        "variables": [
            (variable.name, variable.type.value, _evidence(facts.dates, variable.name)) for variable in facts.variables
        ],
        "planned": {op: facts.of(op) for op in Op},
        "same": facts.same,
        "held": facts.held,
        "fields": facts.fields,
        "samples": samples(prepared, show_pii=show_pii),
        "differences": None,
        "requests": requests if prepared.plan.batches else 0,
        "estimate": requests / rate,
        "rate": rate,
        "resumed": prepared.resumed,
    }


def samples(prepared: Prepared, *, show_pii: bool, most: int = SAMPLES) -> list[str]:
    """`~ a***@acme.com  city "Almaty" -> "Astana"` for a few contacts that change."""
    lines: list[str] = []
    for wave in prepared.plan.waves:
        if wave.op not in _WITH_FIELDS or not wave.known or len(lines) >= most:
            continue
        rows = next(prepared.plan.slices(wave, but=_NOT_SHOWN)).head(most - len(lines))
        for email, fields in rows.select(EMAIL, FIELDS).iter_rows():
            who = email if show_pii else mask_addresses(email)
            lines.append(f"~ {who}  {' · '.join(_difference(one, show_pii=show_pii) for one in fields[:3])}")
    return lines


def write_differences(prepared: Prepared, target: Path) -> int:
    """Every field-level difference of the plan as CSV (row, key, op, field, before, after); gives how many.

    Cells a spreadsheet would take for a formula are guarded.
    """
    frames = [
        rows.lazy().explode(FIELDS).drop_nulls(FIELDS).select(ROW, KEY, OP, pl.col(FIELDS).struct.unnest())
        for wave in prepared.plan.waves
        if wave.op in _WITH_FIELDS
        for rows in prepared.plan.slices(wave)
    ]
    if not frames:
        return 0
    told = (guarded(pl.col(name)).alias(name) for name in (KEY, "before", "after"))
    differences = pl.concat(frames).with_columns(*told).collect()
    with drafted(target) as draft:
        differences.write_csv(draft)
    return differences.height


def mapping_changes(before: str | None, after: str) -> list[str]:
    """What changed in the mapping since the last run, a line each."""
    if before is None or before == after:
        return []
    old, new = json.loads(before), json.loads(after)
    was = {rule["name"]: rule for rule in old["variables"]}
    now = {rule["name"]: rule for rule in new["variables"]}
    changed = [name for name in sorted(now.keys() & was.keys()) if was[name] != now[name]]
    others = [field for field in ("email", "name", "active", "key", "winner") if old[field] != new[field]]
    lines = [
        "The mapping changed since the last run: contacts are sent again only where their content changes.",
        *(f'  + {name}, from the column "{now[name]["column"]}"' for name in sorted(now.keys() - was.keys())),
        *(f"  - {name} is no longer fed; the list keeps the values it has" for name in sorted(was.keys() - now.keys())),
        *(f"  ~ {name}: {_rule_change(was[name], now[name])}" for name in changed),
        *(f"  ~ {field}: {old[field]} -> {new[field]}" for field in others),
    ]
    if old["holds"] != new["holds"]:
        lines.append("  ~ the rules of [[job.hold]]")
    return lines


def _rule_change(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {old[key]!r} -> {new[key]!r}" for key in new if old.get(key) != new[key])


def _difference(field: Mapping[str, str | None], *, show_pii: bool) -> str:
    before, after = _shown(field["before"]), _shown(field["after"])
    text = f"{field['field']}  {before} -> {after}"
    return text if show_pii else mask_addresses(text)


def _shown(value: str | None) -> str:
    if not value:
        return "(empty)"
    return f'"{value if len(value) <= 40 else value[:37] + "…"}"'


def _evidence(dates: Mapping[str, tuple[int, int]], name: str) -> str:
    if name not in dates:
        return ""
    filled, iso = dates[name]
    return f"{filled:,} values, all dates" if filled == iso else f"{filled:,} values, {iso:,} of them dates"


def _leaver_notes(prepared: Prepared) -> list[str]:
    told = prepared.facts.left_alone
    return [told] if told else []
