"""A look at a file: what it is, what its columns hold, what would be held, and the config that fits it.

Nothing is sent and no config is needed. The file is read twice, in bounded memory: once to see what its columns are,
once to count what a sync with the mapping that follows from it would hold.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from syncengine.inspection.deciding import Column, Decision, Use, decide
from syncengine.inspection.holding import Held, HeldRows, count_held
from syncengine.inspection.profile import ColumnProfile, profile_chunk
from syncengine.inspection.recognising import Recognised, open_recognised
from syncengine.ports import Description, Source
from syncengine.presets import Match, load_presets, resolve
from syncengine.sources import SourceOptions

__all__ = ["Column", "Decision", "HeldRows", "Inspection", "Use", "inspect_file"]


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
            "marked_numbers": profile.marked,
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
    held = Held()
    profiles = _profiles(opened.source, held, pulse)
    rows = max((profile.rows for profile in profiles.values()), default=0) + sum(one.count for one in held.values())
    decision = _decide(opened, profiles)
    if decision.mapping is not None:
        count_held(opened.source, decision.mapping, rows, held, pulse)
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


def _profiles(source: Source, held: Held, pulse: Callable[[], None]) -> dict[str, ColumnProfile]:
    """The profile of each column; rows that can't be read go to `held`."""
    profiles = {column: ColumnProfile() for column in source.columns}
    for chunk in source.chunks():
        pulse()
        found = profile_chunk(chunk.rows, source.columns)
        profiles = {column: profile + found[column] for column, profile in profiles.items()}
        held.note(chunk.held)
    return profiles
