"""Brakes: what stops a run before its first request, with the numbers and the flag that overrides it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from syncengine.errors import GuardError


class Bound(Protocol):
    """A limit as the config has it: a share or a count."""

    def allows(self, number: int, total: int) -> bool: ...


@dataclass(frozen=True, slots=True)
class Guards:
    """The limits of a job; None switches one off."""

    max_missing: Bound
    max_shrink: Bound
    max_held: Bound


def check_missing(guards: Guards, gone: int, known: int) -> None:
    """Raises GuardError if more contacts than allowed have left the source."""
    if not guards.max_missing.allows(gone, known):
        raise GuardError(
            f"{gone:,} of the {known:,} contacts known have left the source ({_share(gone, known)}); "
            f"the limit is {guards.max_missing}",
            why="a cut or half exported file looks like this",
            fix=f"check the file; if it is right: --max-missing {_enough(gone, known)}",
            code="max-missing",
        )


def check_rows(guards: Guards, rows: int, rows_before: int | None, *, mirror: bool) -> None:
    """Raises GuardError if the source shrank by more than allowed, or is empty where that would remove everybody.

    mirror   whether who left the source is unsubscribed or removed
    """
    if rows == 0 and mirror:
        before = f"; the last run saw {rows_before:,}" if rows_before else ""
        raise GuardError(
            f"the source has a header and 0 rows{before}",
            why="everybody would have left it; nobody is removed because of an empty file, and no flag overrides that",
            fix='check the export; where leavers are to be left alone: mirror = { on_missing = "keep" }',
            code="empty-source",
        )
    if rows_before and rows < rows_before and not guards.max_shrink.allows(rows_before - rows, rows_before):
        lost = rows_before - rows
        raise GuardError(
            f"the source has {rows:,} rows, the last run saw {rows_before:,}: {_share(lost, rows_before)} fewer; "
            f"the limit is {guards.max_shrink}",
            why="a cut or half exported file looks like this",
            fix=f"check the file; if it is right: --max-shrink {_enough(lost, rows_before)}",
            code="max-shrink",
        )


def check_held(guards: Guards, held: Mapping[str, int], rows: int) -> None:
    """Raises GuardError if more rows than allowed can't be sent."""
    number = sum(held.values())
    if number and not guards.max_held.allows(number, rows):
        reasons = ", ".join(f"{count:,} {code}" for code, count in sorted(held.items(), key=lambda item: -item[1])[:3])
        raise GuardError(
            f"{number:,} of {rows:,} rows can't be sent ({_share(number, rows)}); the limit is {guards.max_held}",
            why=f"most often: {reasons}; perhaps a column is mapped wrongly",
            fix=f"look at them: syncengine errors; if it is right: --max-held {_enough(number, rows)}",
            code="max-held",
        )


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "all"


def _enough(part: int, whole: int) -> str:
    """The smallest whole percentage that lets this pass."""
    return f"{-(-100 * part // whole)}%" if whole else str(part)
