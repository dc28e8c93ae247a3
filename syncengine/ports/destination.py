"""The list behind the API."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import polars as pl

from syncengine.model import Answer, Call, Op, Variable
from syncengine.settlement import Ask


@dataclass(frozen=True, slots=True)
class Batch:
    """At most 100 contacts of one operation, as frozen in the plan.

    contacts   CHANGE rows, in plan order
    body       the contacts of the whole batch in the form of `prepared` (see `Destination.prepare`)
    """

    number: int
    op: Op
    known: bool
    contacts: pl.DataFrame
    prepared: Call
    body: bytes | memoryview

    @property
    def size(self) -> int:
        return self.contacts.height


class Destination(Protocol):
    """The list behind one version of the API.

    `submit` may be called again with the same content after any outcome: every call means "make it so", and what
    is sent is the contact's whole desired state. It raises nothing for what the service answers.
    """

    @property
    def batch_size(self) -> int:
        """Contacts one request may hold, as documented."""
        ...

    @property
    def requests(self) -> int:
        """Attempts made so far, of any kind."""
        ...

    def prepare(self, contacts: pl.DataFrame, call: Call) -> pl.Series:
        """Plan rows → each contact in the form `call` wants; joined by commas they make a body."""
        ...

    async def submit(self, batch: Batch, ask: Ask) -> Answer:
        """One attempt of one request about some contacts of `batch`."""
        ...

    async def create_variables(self, variables: Sequence[Variable]) -> Answer:
        """One attempt to define variables on the list. One that is there already counts as accepted."""
        ...

    async def aclose(self) -> None:
        """Close what is open. No other method is called afterwards."""
        ...
