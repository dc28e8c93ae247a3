"""Events → structlog lines in a run's log.jsonl. No token, and no address unless a person asked for it.

A contact is written as a keyed id: the same in all logs of one state directory, useless without its key file.
"""

import json
import os
import re
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import fields
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TextIO

import structlog

from syncengine.durable import PRIVATE_FILE
from syncengine.events import BatchSettled, ContactRefused, Event, RequestAnswered
from syncengine.keyed import contact_id
from syncengine.redaction import Secret, hide_addresses, scrub

if TYPE_CHECKING:
    from structlog.typing import Processor

_CAMEL: Final = re.compile(r"(?<=[a-z])(?=[A-Z])")


class RunLog:
    """Writes one run's events as JSON lines. Call it with each event; close it at the end."""

    def __init__(
        self,
        path: Path,
        *,
        run: str,
        job: str,
        contact_key: bytes,
        tokens: tuple[Secret, ...] = (),
        show_pii: bool = False,
    ) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
        # half a surrogate pair, as in a path that is no UTF-8, becomes a JSON escape
        self._file: TextIO = os.fdopen(descriptor, "a", encoding="utf-8", errors="backslashreplace")
        self._contact_key = contact_key
        self._show_pii = show_pii
        redacted = _redacted(tokens, show_pii=show_pii)
        stamped: list[Processor] = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ]
        self._log = structlog.wrap_logger(
            structlog.WriteLogger(self._file), processors=[*stamped, redacted, structlog.processors.JSONRenderer()]
        ).bind(run=run, job=job)
        self._ours = json.dumps(redacted(None, "", {"run": run, "job": job})).strip("{}")

    def __call__(self, event: Event) -> None:
        match event:
            case ContactRefused(key, row, op, verdict):
                self._log.warning(
                    f"contact.{verdict.outcome.value}",
                    **self._who(key),
                    row=row,
                    op=op.value,
                    code=verdict.code,
                    text=verdict.text,
                )
            case BatchSettled(batch, op, size, confirmed):
                self._count("info", "batch.settled", batch=batch, op=op.value, contacts=size, confirmed=confirmed)
            case RequestAnswered() if event.problem:
                self._log.warning("request.failed", **_plain(event))
            case RequestAnswered(call, contacts, seconds, problem, status):
                self._count(
                    "debug",
                    "request.answered",
                    call=call.value,
                    contacts=contacts,
                    seconds=seconds,
                    problem=problem,
                    status=status,
                )
            case _:
                self._log.info(_name(event), **_plain(event))

    def held(self, key: str | None, row: int | None, code: str, reason: str) -> None:
        """A row that was not sent."""
        self._log.info("contact.held", **self._who(key), row=row, code=code, text=reason)

    def ended(self, report: Mapping[str, Any]) -> None:
        """The run's numbers."""
        self._log.info("run.ended", **{key: value for key, value in report.items() if key not in {"run", "job"}})

    def problem(self, what: str, why: str, code: str) -> None:
        """The error a person was told."""
        self._log.error("run.problem", what=what, why=why, code=code)

    def close(self) -> None:
        self._file.close()

    def _count(self, level: str, event: str, **numbers: str | float | None) -> None:
        """A line as structlog writes it, at a fifth of the price: there are two a batch.

        They are of numbers and our own words alone, so that there is nothing to redact; and they reach the file with
        the next line that is flushed, or at the end.
        """
        at = f"{datetime.now(UTC).replace(tzinfo=None).isoformat(timespec='microseconds')}Z"
        told = ", ".join([f'"{name}": {_written(value)}' for name, value in numbers.items()])
        line = f'{{{self._ours}, {told}, "event": "{event}", "level": "{level}", "timestamp": "{at}"}}\n'
        self._file.write(line)

    def _who(self, key: str | None) -> dict[str, str | None]:
        if key is None:
            return {"contact": None}
        return {"contact": key if self._show_pii else contact_id(key, self._contact_key)}


def _written(value: str | float | None) -> str:
    """As json.dumps writes it, which makes an encoder each time."""
    if value is None:
        return "null"
    return encode_basestring_ascii(value) if isinstance(value, str) else repr(value)


def _redacted(tokens: tuple[Secret, ...], *, show_pii: bool) -> Callable[..., MutableMapping[str, Any]]:
    """The last look at a line before it is written."""

    def clean(value: Any) -> Any:
        match value:
            case str():
                told = scrub(value, *tokens)
                return told if show_pii else hide_addresses(told)
            case Mapping():
                return {key: clean(inner) for key, inner in value.items()}
            case list() | tuple():
                return [clean(inner) for inner in value]
            case _:
                return value

    def processor(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {key: clean(value) for key, value in line.items()}

    return processor


def _name(event: Event) -> str:
    return _CAMEL.sub(".", type(event).__name__).lower()


def _plain(event: Event) -> dict[str, Any]:
    told = ((field.name, getattr(event, field.name)) for field in fields(event))
    return {name: getattr(value, "value", value) for name, value in told}
