"""Events of an instance's calendar: one-time or recurring, for all groups or some."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from syncengine.errors import RequestError
from syncengine.smartersends.dates import moment

REPEAT_TYPES: Final = ("daily", "weekly", "monthly", "yearly")
DAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


@dataclass(frozen=True, slots=True)
class Group:
    """A group that sees an event."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event as the service tells it. Dates are as told: `2026-02-01T09:00:00.000000Z`."""

    id: int
    name: str
    start_date: str
    end_date: str | None = None
    description: str | None = None
    repeats: bool = False
    repeat_type: str | None = None
    max_occurrences: int | None = None
    repeat_interval: int | None = None
    repeat_days: tuple[str, ...] = ()
    repeat_months: tuple[int, ...] = ()
    all_groups: bool = False
    created_at: str | None = None
    updated_at: str | None = None
    groups: tuple[Group, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventChange:
    """Fields of an event to be set; None leaves one as it is. Raises RequestError, naming the field."""

    name: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    description: str | None = None
    repeats: bool | None = None
    repeat_type: str | None = None
    repeat_interval: int | None = None
    max_occurrences: int | None = None
    repeat_days: Sequence[str] | None = None
    repeat_months: Sequence[int] | None = None
    all_groups: bool | None = None
    groups: Sequence[int] | None = None

    def __post_init__(self) -> None:
        _check(self)

    def to_json(self) -> dict[str, Any]:
        """Only what is to be set."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: list(value) if isinstance(value, list | tuple) else value
            for name, value in given.items()
            if value is not None
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft(EventChange):
    """A new event: a name and a start at least; one that repeats says how."""

    def __post_init__(self) -> None:
        for name in ("name", "start_date"):
            if not getattr(self, name):
                raise RequestError(name, "this field is required")
        _check(self)
        if self.repeats and self.repeat_type is None:
            raise RequestError("repeat_type", f"an event that repeats says how: {', '.join(REPEAT_TYPES)}")


def _check(event: EventChange) -> None:
    if event.name is not None and not event.name.strip():
        raise RequestError("name", "must not be empty")
    _check_dates(event)
    if event.repeat_type is not None and event.repeat_type not in REPEAT_TYPES:
        raise RequestError("repeat_type", f"{event.repeat_type!r} is none: {', '.join(REPEAT_TYPES)}")
    if event.repeat_type is not None and event.repeats is False:
        raise RequestError("repeats", "is false, and repeat_type says how it repeats", fix="leave one of them out")
    for name in ("repeat_interval", "max_occurrences"):
        number = getattr(event, name)
        if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
            raise RequestError(name, f"must be a whole number from 1, not {number!r}")
    _check_lists(event)


def _check_dates(event: EventChange) -> None:
    start = None if event.start_date is None else moment("start_date", event.start_date)
    end = None if event.end_date is None else moment("end_date", event.end_date)
    if start is not None and end is not None and end < start:
        raise RequestError("end_date", f"{event.end_date} is before {event.start_date}")


def _check_lists(event: EventChange) -> None:
    for index, day in enumerate(event.repeat_days or ()):
        if day not in DAYS:
            raise RequestError(f"repeat_days[{index}]", f"{day!r} is none: {', '.join(DAYS)}")
    for index, month in enumerate(event.repeat_months or ()):
        if isinstance(month, bool) or month not in range(1, 13):
            raise RequestError(f"repeat_months[{index}]", f"{month!r} is none: 1 to 12")
    if event.repeat_days and event.repeat_type not in {None, "weekly"}:
        raise RequestError("repeat_days", f"are for weekly events, not {event.repeat_type}")
    if event.repeat_months and event.repeat_type not in {None, "yearly"}:
        raise RequestError("repeat_months", f"are for yearly events, not {event.repeat_type}")
    for index, group in enumerate(event.groups or ()):
        if isinstance(group, bool) or not isinstance(group, int) or group < 1:
            raise RequestError(f"groups[{index}]", f"must be the number of a group, not {group!r}")
    if event.groups and event.all_groups:
        raise RequestError("groups", "all_groups is true: name some groups, or all of them")
