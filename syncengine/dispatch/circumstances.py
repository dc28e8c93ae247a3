"""What an error about a batch may refer to, worked out from its contacts only if somebody asks. Pure."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import polars as pl

from syncengine.dispatch.consent import who_is_off
from syncengine.frames import CONTACT, EMAIL, IN_DOUBT, KNOWN_FINGERPRINT, VARIABLES
from syncengine.ports import Batch
from syncengine.settlement import Circumstances

_NEVER_ASKED: Final = -1


def circumstances_of(
    batch: Batch, lost: Callable[[], int], off: Callable[[], tuple[pl.Series, Mapping[str, str]]]
) -> Circumstances:
    """`off` gives the addresses of those who had left when the run began, and of those who left since."""
    left_by: tuple[int, set[int]] = (_NEVER_ASKED, set())

    def addresses() -> Sequence[tuple[str, ...]]:
        return [tuple(dict.fromkeys(pair)) for pair in batch.contacts.select(CONTACT, EMAIL).iter_rows()]

    def carriers(variable: str) -> set[int]:
        named = f'{{"name":{json.dumps(variable)},'
        return set(batch.contacts[VARIABLES].str.contains(named, literal=True).arg_true().to_list())

    def doubted() -> set[int]:
        return set((batch.contacts[KNOWN_FINGERPRINT] == IN_DOUBT).arg_true().to_list())

    def left() -> set[int]:
        nonlocal left_by
        before, since = off()
        if left_by[0] != len(since):  # asked for every missing contact, and 100,000 addresses take 2 ms to look through
            everybody = pl.concat([before, pl.Series(before.name, list(since), dtype=pl.String)])
            left_by = (len(since), who_is_off(batch, everybody))
        return left_by[1]

    return Circumstances(addresses, carriers, lost, doubted, left)
