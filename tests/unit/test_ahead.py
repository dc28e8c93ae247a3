"""Items had ahead come in order, and where one is to be alone the next is not made before it is done with."""

from collections.abc import Iterator

import pytest

from syncengine.planning.ahead import had_ahead


@pytest.mark.parametrize("alone", [set(), {3}, {1, 2, 7}, set(range(10))])
def test_items_come_in_order_and_nothing_is_made_beside_one_that_is_alone(alone: set[int]) -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            made.append(number)
            yield number

    taken = []
    for number in had_ahead(items(), alone=alone.__contains__):
        taken.append(number)
        if number in alone:
            assert made[-1] == number

    assert taken == made == [*range(10)]


def test_what_the_items_raise_comes_through() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        list(had_ahead(items()))
