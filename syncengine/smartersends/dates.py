"""Dates as SmarterSends takes them, without leaving open what the page leaves open."""

from datetime import UTC, datetime

from syncengine.errors import RequestError


def moment(where: str, text: str) -> datetime:
    """A date, with or without a time and zone; without a zone it is taken for UTC to be compared.

    Raises RequestError.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except (ValueError, AttributeError):
        raise RequestError(
            where, f"{text!r} is no date", fix="2026-01-31, 2026-01-31 18:30:00, or 2026-01-31T18:30:00Z"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def window(start: str | None, end: str | None) -> tuple[str | None, str | None]:
    """Both ends, inclusive, as they are sent. A day without a time is the whole day: the page has it both ways.

    Raises RequestError for what is no date, and for an end before the start.
    """
    first = None if start is None else _whole("start_date", start, "00:00:00")
    last = None if end is None else _whole("end_date", end, "23:59:59")
    if first is not None and last is not None and moment("end_date", last) < moment("start_date", first):
        raise RequestError("end_date", f"{end} is before {start}", fix="exchange them")
    return first, last


def _whole(where: str, text: str, time: str) -> str:
    moment(where, text)
    written = text.strip()
    return f"{written} {time}" if len(written) <= 10 else written
