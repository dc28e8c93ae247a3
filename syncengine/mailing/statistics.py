"""`mail stats`: what happened to messages, one row each, and all of them in numbers."""

import functools
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl

from syncengine.bootstrap import Workshop
from syncengine.client.requests import identifier
from syncengine.client.results import MessageReport
from syncengine.client.smartsender import SmartSender
from syncengine.connecting import connect_smartsender, talk
from syncengine.errors import RequestError, SourceError
from syncengine.result_files import Schema
from syncengine.sources import SourceOptions, open_source

EVENTS: Final = ("sent", "delivered", "read", "click", "hard", "soft")
_USUAL: Final = ("message_id", "messageid", "id")

_TIMES: Final = {event: f"{'first_' if event in {'read', 'click'} else ''}{event}_at" for event in EVENTS}
SCHEMA: Final[Schema] = {
    "id": pl.String,
    "found": pl.Boolean,
    "email": pl.String,
    "from_email": pl.String,
    "subject": pl.String,
    **dict.fromkeys(EVENTS, pl.UInt32),
    **{name: pl.Datetime("us") for name in _TIMES.values()},  # as told: the service names no zone
}


@dataclass(frozen=True, slots=True)
class Statistics:
    """`rows` as `SCHEMA` has them, one for each id asked for; `document` as --json prints it."""

    rows: list[dict[str, Any]]
    document: dict[str, Any]


def ids_of(path: str, base: Path, column: str | None) -> list[str]:
    """The message ids in a file: a column of it, or a line each. Empty cells are left out. Raises SourceError."""
    try:
        source = open_source(SourceOptions(path, base))
    except SourceError as error:
        if error.code == "header-missing" and column is None:
            return (base / path).read_text(encoding="utf-8-sig").split()
        raise
    header = _id_column(source.columns, column)
    if header is None:
        raise SourceError(
            f"{source.name}: which column has the ids of messages?",
            why=f"it has {', '.join(source.columns)}",
            fix="--column HEADER",
            code="column-missing",
        )
    return [cell.strip() for chunk in source.chunks() for cell in chunk.rows[header] if cell and cell.strip()]


def _id_column(columns: Sequence[str], wanted: str | None) -> str | None:
    if wanted is not None:
        return wanted if wanted in columns else None
    return next((name for name in columns if name.strip().lower() in _USUAL), None)


def measure(workshop: Workshop, ids: Iterable[str]) -> Statistics:
    """What happened to the messages of these ids, each asked for once.

    Raises RequestError for what can't be an id, before anything is asked; ConfigError, DestinationError.
    """
    wanted = list(dict.fromkeys(ids))
    if not wanted:
        raise RequestError("ids", "at least one is needed", fix="syncengine mail stats ID    or: --file results.csv")
    for one in wanted:
        identifier("ids", one)
    service = connect_smartsender(workshop, sending=True)
    return talk(service, functools.partial(_gather, wanted=wanted), changes=False)


async def _gather(service: SmartSender, wanted: list[str]) -> Statistics:
    began = time.monotonic()
    found: dict[str, dict[str, Any]] = {}
    async for report in service.messages(wanted):
        found[report.id] = _row(report)
    rows = [found.get(one) or _missing(one) for one in wanted]
    return Statistics(rows, _document(rows, len(found)) | _effort(service, began))


def _row(report: MessageReport) -> dict[str, Any]:
    """The bodies are dropped here: a hundred thousand of them fit nowhere."""
    counts, first = report.count(), _first_times(report)
    return {
        "id": report.id,
        "found": True,
        "email": report.to[0].email if report.to else None,
        "from_email": report.from_email,
        "subject": report.subject,
        **{event: counts[event] for event in EVENTS},
        **{_TIMES[event]: first.get(event) for event in EVENTS},
    }


def _first_times(report: MessageReport) -> dict[str, datetime]:
    first: dict[str, datetime] = {}
    for event in report.events:
        if event.event is not None and event.at is not None:
            first[event.event] = min(event.at, first.get(event.event, event.at))
    return first


def _missing(message_id: str) -> dict[str, Any]:
    return dict.fromkeys(SCHEMA) | {"id": message_id, "found": False} | dict.fromkeys(EVENTS, 0)


def _document(rows: Sequence[dict[str, Any]], found: int) -> dict[str, Any]:
    """How many messages met each event, and how often all of them together."""
    messages: Counter[str] = Counter(event for row in rows for event in EVENTS if row[event])
    events: Counter[str] = Counter()
    for row in rows:
        events.update({event: row[event] for event in EVENTS})
    return {
        "asked": len(rows),
        "found": found,
        "unknown": len(rows) - found,
        "messages": {event: messages[event] for event in EVENTS},
        "events": {event: events[event] for event in EVENTS},
    }


def _effort(service: SmartSender, began: float) -> dict[str, Any]:
    return {"requests": service.requests, "seconds": round(time.monotonic() - began, 1)}
