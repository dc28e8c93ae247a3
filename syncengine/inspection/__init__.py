"""A look at a file: what it is, what its columns hold, what would be held, and the config that fits it.

Nothing is sent and no config is needed. The file is read twice, in bounded memory: once to see what its columns are,
once to count what a sync with the mapping that follows from it would hold.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from syncengine.frames import ACTIVE, CODE, KEY_HASH, REASON, source_column
from syncengine.inspection.deciding import Column, Decision, Use, decide
from syncengine.inspection.profile import ColumnProfile, profile_chunk
from syncengine.inspection.recognising import Recognised, open_recognised
from syncengine.normalise.mapping import Mapping as RowMapping
from syncengine.normalise.mapping import Several
from syncengine.normalise.rows import normalise, opted_out
from syncengine.ports import Chunk, Description, Source
from syncengine.presets import Match, load_presets, resolve
from syncengine.sources import SourceOptions
from syncengine.spread_rows import SpreadRows

__all__ = ["Column", "Decision", "HeldRows", "Inspection", "Use", "inspect_file"]

_FIRST = 3  #: rows named of each code
_PARTS = 16  #: in which duplicates are looked for, one after the other


@dataclass(slots=True)
class HeldRows:
    """Rows held for one code: how many, the first of them, and why the first of all."""

    count: int = 0
    first: tuple[int, ...] = ()
    reason: str = ""

    def note(self, count: int, first: Sequence[int], reason: str) -> None:
        """`count` more rows, the `first` of them by their line."""
        self.count += count
        self.first = tuple(sorted({*self.first, *first}))[:_FIRST]
        self.reason = self.reason or reason


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was seen. `held` are rows by code, the commonest first; `duplicate` and `opted-out` as on an empty list."""

    source: str
    options: SourceOptions
    described: Description
    rows: int
    decision: Decision
    match: Match | None
    suggestions: tuple[Match, ...]
    held: Mapping[str, HeldRows]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person must be told, the loudest first."""
        suggested = [
            f"looks a little like {match.preset.title} ({match.score:.0%} of its tell-tale headers): "
            f"--preset {match.preset.name} to take it for that"
            for match in self.suggestions[:1]
            if self.match is None
        ]
        return (*self.decision.notes, *self.described.warnings, *suggested)

    def to_json(self) -> dict[str, Any]:
        """Everything, for `inspect --json`."""
        return {
            "file": self.source,
            "size": self.described.size,
            "format": self.described.format,
            "files": list(self.described.files),
            "facts": dict(self.described.facts),
            "rows": self.rows,
            "preset": _match_json(self.match) if self.match else None,
            "suggestions": [_match_json(match) for match in self.suggestions],
            "columns": [_column_json(column) for column in self.decision.columns],
            "held": {
                code: {"count": rows.count, "rows": list(rows.first), "reason": rows.reason}
                for code, rows in self.held.items()
            },
            "warnings": list(self.warnings),
        }


def _match_json(match: Match) -> dict[str, Any]:
    return {
        "name": match.preset.name,
        "title": match.preset.title,
        "score": round(match.score, 3),
        "known_columns": match.known,
        "preview": match.preset.preview,
    }


def _column_json(column: Column) -> dict[str, Any]:
    profile = column.profile
    return {
        "column": column.header,
        "filled": profile.filled,
        "share": round(profile.filled / profile.rows, 4) if profile.rows else 0.0,
        "use": column.use.value,
        "variable": column.name or None,
        "kind": column.kind,
        "formats": list(column.formats),
        "note": column.note,
        "evidence": {
            "dates": dict(profile.dates.counts),
            "date_examples": dict(profile.dates.examples),
            "no_dates": profile.no_dates,
            "addresses": profile.addresses,
            "several_addresses": profile.several,
            "rounded_numbers": profile.rounded,
            "yes_or_no": profile.yes_no,
            "sentinels": dict(profile.sentinels),
        },
    }


def inspect_file(
    path: str,
    base: Path,
    *,
    preset: str | None = None,
    told: Mapping[str, Any] | None = None,
    pulse: Callable[[], None] = lambda: None,
) -> Inspection:
    """Look at the file at `path` (relative to `base`, whose `presets/` count). Raises SourceError, ConfigError.

    preset   the one to take it for, "none" for none; else the one its headers speak for
    told     options of `SourceOptions` that the user gave
    """
    opened = open_recognised(path, base, load_presets(base), wanted=preset, told=told)
    held = defaultdict[str, HeldRows](HeldRows)
    profiles = _profiles(opened.source, held, pulse)
    rows = max((profile.rows for profile in profiles.values()), default=0) + sum(one.count for one in held.values())
    decision = _decide(opened, profiles)
    if decision.mapping is not None:
        _count_held(opened.source, decision.mapping, held, pulse)
    return Inspection(
        path,
        opened.options,
        opened.source.describe(),
        rows,
        decision,
        opened.match,
        opened.suggestions,
        dict(sorted(held.items(), key=lambda entry: -entry[1].count)),
    )


def _decide(opened: Recognised, profiles: Mapping[str, ColumnProfile]) -> Decision:
    if opened.match is None:
        return decide(profiles, None)
    preset, described = opened.match.preset, opened.source.describe()
    taken = resolve(preset, opened.source.columns, files=described.files, separator=_separator(described))
    return decide(profiles, taken, preset.sentinels)


def _separator(described: Description) -> str | None:
    """The separator of a delimited text, from its description: `semicolon (detected)`."""
    names = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
    return names.get(described.facts.get("separator", "").partition(" ")[0])


def _profiles(source: Source, held: dict[str, HeldRows], pulse: Callable[[], None]) -> dict[str, ColumnProfile]:
    """The profile of each column; rows that can't be read go to `held`."""
    profiles = {column: ColumnProfile() for column in source.columns}
    for chunk in source.chunks():
        pulse()
        found = profile_chunk(chunk.rows, source.columns)
        profiles = {column: profile + found[column] for column, profile in profiles.items()}
        _note(held, chunk.held)
    return profiles


def _count_held(source: Source, mapping: RowMapping, held: dict[str, HeldRows], pulse: Callable[[], None]) -> None:
    """Rows that a first sync would hold, besides those that can't be read. Keeps some 20 bytes a row."""
    if mapping.email.several is Several.ALL:
        source = SpreadRows(source, mapping.email.columns)
    sound = []
    for chunk in source.chunks():
        pulse()
        rows = _normalised(chunk, source.columns, mapping)
        _note(held, rows.filter(pl.col(CODE).is_not_null()))
        sound.append(_kept(rows.filter(pl.col(CODE).is_null()), mapping))
    if not sound:
        return
    kept = pl.concat(sound)
    for part in range(_PARTS):
        keyed = kept.filter(pl.col(KEY_HASH) // (1 << 60) == part)
        again = ~keyed[KEY_HASH].is_first_distinct()
        _note(held, _as(keyed.filter(again), "duplicate", pl.lit("the same contact is in an earlier row")))
        left = keyed.filter(~again & keyed[REASON].is_not_null())
        _note(held, _as(left, "opted-out", pl.col(REASON).cast(pl.String)))


def _kept(rows: pl.DataFrame, mapping: RowMapping) -> pl.DataFrame:
    """KEY_HASH, `row`, and in `reason` why the person opted out, null where they did not."""
    why = opted_out(mapping.opt_outs, pl.col("source").struct.field) if mapping.opt_outs else pl.lit(None, pl.String)
    return rows.select(KEY_HASH, "row", pl.when(~pl.col(ACTIVE)).then(why).cast(pl.Categorical).alias(REASON))


def _as(rows: pl.DataFrame, code: str, reason: pl.Expr) -> pl.DataFrame:
    return rows.with_columns(pl.lit(code).alias(CODE), reason.alias(REASON))


def _note(held: dict[str, HeldRows], rows: pl.DataFrame) -> None:
    """Count `rows` (`row`, `code`, `reason`) by their code."""
    first = pl.col("row").sort().head(_FIRST)
    by_code = rows.group_by(CODE, maintain_order=True).agg(pl.len().alias("count"), first, pl.col(REASON).first())
    for code, count, lines, reason in by_code.iter_rows():
        held[code].note(count, lines, reason)


def _normalised(chunk: Chunk, columns: tuple[str, ...], mapping: RowMapping) -> pl.DataFrame:
    raw = chunk.rows.select(
        pl.int_range(pl.len(), dtype=pl.UInt64).alias("ordinal"),
        "row",
        *(pl.col(column).alias(source_column(column)) for column in columns),
    )
    return normalise(raw.lazy(), mapping, columns=columns, plain=chunk.plain).collect()
