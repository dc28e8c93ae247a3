"""The receiver on a real port under schemathesis: it does what its own description says, whatever is sent to it."""

import contextlib
from collections import Counter
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.openapi import from_dict

from syncengine.webhooks.description import openapi
from syncengine.webhooks.inbox import Tally

if TYPE_CHECKING:
    from conftest import Receive, Served

LIST = "5537ab2a08d241dc69326b19"

CASES = settings(
    max_examples=100,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)


def assault(served: "Served", mode: GenerationMode) -> Counter[int]:
    """How often each status came; none of them against the description, and never 5xx."""
    schema = from_dict(openapi(served.path, [LIST]))
    schema.config.update(base_url="http://{}:{}".format(*served.address))
    statuses: Counter[int] = Counter()

    @CASES
    @given(schema[served.path]["POST"].as_strategy(generation_mode=mode))
    def conforms(case: Case) -> None:
        statuses[case.call_and_validate().status_code] += 1

    conforms()
    return statuses


def inbox_of(served: "Served") -> Tally:
    with contextlib.closing(served.inbox()) as inbox:
        return inbox.tally()


def test_w4_every_event_of_the_description_is_taken_and_is_on_disk(receive: "Receive") -> None:
    with receive(rate=100_000) as served:
        statuses = assault(served, GenerationMode.POSITIVE)
        tally = inbox_of(served)

    assert set(statuses) == {200}
    assert sum(tally.by_event.values()) + tally.copies == statuses[200] >= 50


def test_w4_nothing_beside_the_description_is_taken_and_nothing_breaks(receive: "Receive") -> None:
    with receive(rate=100_000) as served:
        served.post(served.event())
        statuses = assault(served, GenerationMode.NEGATIVE)
        tally = inbox_of(served)

    assert set(statuses) <= {400, 404}
    assert statuses[400] >= 50
    assert tally.by_event == {"unsubscribed": 1}
