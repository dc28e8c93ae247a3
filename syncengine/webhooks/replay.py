"""Events out of a file: a proxy's log of bodies, or an export. JSON lines, or CSV with the documented names as headers.

What a line is wrapped in does not matter, as long as the event is in it: an object with the documented members, or one
that holds such an object or its text under any name (`{"time": …, "request_body": "{\\"event\\": …}"}`).
"""

import csv
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from syncengine.errors import SourceError
from syncengine.webhooks.events import BadEventError, HookBody, HookEvent, StrangeListError, event_of

MOST_FAULTS: Final = 20  #: told line by line; the others are counted
_DEPTH: Final = 3  #: wrappings looked into
_MEMBERS: Final = {"event", "email", "datetime"}


@dataclass(slots=True)
class Replayed:
    """What a file held. `faults` are (line, reason) of the first lines that hold no event."""

    events: list[HookEvent] = field(default_factory=list)
    strange: int = 0  #: about lists that are none of ours
    faulty: int = 0
    faults: list[tuple[int, str]] = field(default_factory=list)

    def fault(self, line: int, reason: str) -> None:
        self.faulty += 1
        if len(self.faults) < MOST_FAULTS:
            self.faults.append((line, reason))


def read_file(path: Path, *, lists: Collection[str], now: float) -> Replayed:
    """The events of a file. Raises SourceError if it can't be read, or is neither of the two."""
    found = Replayed()
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            lines = _json_lines(file) if first.lstrip().startswith("{") else _csv_rows(path, file)
            for number, content in lines:
                _take(found, number, content, lists=lists, now=now)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SourceError(
            f"{path}: can't be read",
            why=f"{type(error).__name__}: {error}",
            fix="JSON lines (an event a line), or CSV with the headers event,email,datetime,emailListId; UTF-8",
            code="replay-unreadable",
        ) from error
    return found


def _take(found: Replayed, number: int, content: Any, *, lists: Collection[str], now: float) -> None:
    body = _unwrapped(content, _DEPTH)
    if body is None:
        found.fault(number, "no event, email and datetime in it")
        return
    try:
        found.events.append(event_of(HookBody.model_validate(body), lists=lists, now=now))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        found.fault(number, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")
    except StrangeListError:
        found.strange += 1
    except BadEventError as error:
        found.fault(number, str(error))


def _json_lines(file: Any) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(file, start=1):
        if line.strip():
            yield number, line


def _csv_rows(path: Path, file: Any) -> Iterator[tuple[int, Any]]:
    reader = csv.DictReader(file)
    missing = _MEMBERS - set(reader.fieldnames or ())
    if missing:
        raise SourceError(
            f"{path}: no column {min(missing)!r}",
            why=f"it has {', '.join(reader.fieldnames or ())}",
            fix="headers: event,email,datetime,emailListId,contactId,id",
            code="replay-unreadable",
        )
    for row in reader:
        yield reader.line_num, {name: value for name, value in row.items() if name and value}


def _unwrapped(content: Any, depth: int) -> Mapping[str, Any] | None:
    """The object with the members of an event that `content` is, or holds."""
    if isinstance(content, str) and content.lstrip().startswith("{"):
        try:
            content = json.loads(content)
        except (ValueError, RecursionError):
            return None
    if not isinstance(content, Mapping):
        return None
    if content.keys() >= _MEMBERS:
        return content
    if depth == 0:
        return None
    inner = (_unwrapped(value, depth - 1) for value in content.values())
    return next((found for found in inner if found is not None), None)
