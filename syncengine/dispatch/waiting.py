"""Contacts that may not have their address yet, because the one who was to leave it has not left it."""

from collections.abc import Collection

import polars as pl

from syncengine.frames import ADDRESS
from syncengine.model import Outcome, Verdict


def waiting(contacts: pl.DataFrame, occupied: Collection[str]) -> dict[int, Verdict]:
    """Verdicts, by position, of those in a batch whose address is one of `occupied` (normal form).

    Sent nevertheless, an add would be an update of the other contact, and a rename would take its place: two people
    would become one.
    """
    if not occupied:
        return {}
    taken = contacts[ADDRESS].is_in(list(occupied)).arg_true().to_list()
    told = "another contact was to move away from this address first, and could not"
    return dict.fromkeys(taken, Verdict(Outcome.UNRESOLVED, "rename-waits", told))
