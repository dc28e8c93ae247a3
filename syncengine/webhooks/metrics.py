"""Counters in the text format of Prometheus."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX: Final = "syncengine_webhook"


@dataclass(frozen=True, slots=True)
class Gauges:
    """What there is to measure. Times are Unix seconds; `alarms` are lists that too many people leave at once."""

    answers: Mapping[int, int]
    events: Mapping[str, int]
    last_at: float | None
    connections: int
    waiting: int
    store_ok: bool
    alarms: Mapping[str, bool]
    evicted: int


def as_text(gauges: Gauges) -> str:
    """All of them."""
    lines: list[str] = []

    def tell(name: str, kind: str, what: str, samples: list[tuple[str, float]]) -> None:
        lines.append(f"# HELP {_PREFIX}_{name} {what}")
        lines.append(f"# TYPE {_PREFIX}_{name} {kind}")
        lines.extend(f"{_PREFIX}_{name}{labels} {value:.15g}" for labels, value in samples)

    tell("answers_total", "counter", "Requests by the status they were answered with.", [
        (f'{{status="{status}"}}', count) for status, count in sorted(gauges.answers.items())
    ])  # fmt: skip
    tell("events_total", "counter", "Events made durable since the start, by kind.", [
        (f'{{event="{event}"}}', count) for event, count in sorted(gauges.events.items())
    ])  # fmt: skip
    tell("connections", "gauge", "Connections that are open.", [("", gauges.connections)])
    tell("evicted_total", "counter", "Connections closed to make room, or for being slow.", [("", gauges.evicted)])
    tell("waiting", "gauge", "Events that wait for the disk.", [("", gauges.waiting)])
    tell("store_ok", "gauge", "1: the last commit succeeded.", [("", gauges.store_ok)])
    tell("alarm", "gauge", "1: more than 5 % of the list left within 10 minutes.", [
        (f'{{list="{name}"}}', is_so) for name, is_so in sorted(gauges.alarms.items())
    ])  # fmt: skip
    if gauges.last_at is not None:
        tell("last_event_timestamp_seconds", "gauge", "When the last event came.", [("", gauges.last_at)])
    return "\n".join(lines) + "\n"
