"""A list in memory that answers as SmartSender's documents describe."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import polars as pl

from syncengine.frames import ACTIVE, CONTACT, EMAIL, NAME, VARIABLES
from syncengine.model import Accepted, Answer, Call, Declined, Fatal, NoAnswer, Partial, Variable
from syncengine.normalise.addresses import address_key
from syncengine.ports import Batch
from syncengine.settlement import Ask


@dataclass(slots=True)
class Held:
    """A contact of the list."""

    email: str
    name: str | None
    active: bool
    variables: dict[str, str]


@dataclass(slots=True)
class MemoryDestination:
    """A `Destination` without a network.

    reject     address → error text: contacts it never takes
    fail_next  answers to give instead of acting, one a request
    """

    contacts: dict[str, Held] = field(default_factory=dict)
    variables: dict[str, Variable] = field(default_factory=dict)
    reject: dict[str, str] = field(default_factory=dict)
    fail_next: list[NoAnswer | Fatal] = field(default_factory=list)
    sent: list[tuple[Call, tuple[str, ...]]] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)  #: addresses that went from off to on
    requests: int = 0
    _ids: Iterator[int] = field(default_factory=count)

    @property
    def batch_size(self) -> int:
        return 100

    def prepare(self, contacts: pl.DataFrame, call: Call) -> pl.Series:
        return contacts[EMAIL].alias(call.value)

    async def submit(self, batch: Batch, ask: Ask) -> Answer:
        self.requests += 1
        rows = batch.contacts[list(ask.positions)].rows(named=True)
        self.sent.append((ask.call, tuple(row[CONTACT if ask.call is Call.RENAME else EMAIL] for row in rows)))
        if self.fail_next:
            return self.fail_next.pop(0)
        match ask.call:
            case Call.ADD:
                return self._add(rows)
            case Call.REMOVE:
                for row in rows:
                    self.contacts.pop(address_key(row[EMAIL]), None)
                return Accepted()
            case Call.UPDATE | Call.RENAME | Call.UPDATE_ONE:
                return self._update(rows, by=CONTACT if ask.call is Call.RENAME else EMAIL)

    async def create_variables(self, variables: Sequence[Variable]) -> Answer:
        self.requests += 1
        if self.fail_next:
            return self.fail_next.pop(0)
        self.variables.update({variable.name: variable for variable in variables})
        return Accepted()

    async def aclose(self) -> None:
        """Nothing is open."""

    def _add(self, rows: Sequence[dict[str, Any]]) -> Answer:
        errors = [text for row in rows if (text := self._refusal(row, adding=True))]
        if errors:
            return Declined(tuple(errors))
        for row in rows:
            self.contacts[address_key(row[EMAIL])] = _contact(row)
        return Accepted()

    def _update(self, rows: Sequence[dict[str, Any]], *, by: str) -> Answer:
        errors = []
        for row in rows:
            refusal = self._refusal(row, adding=False)
            held = self.contacts.get(address_key(row[by]))
            if refusal or held is None:
                errors.append(refusal or f"Unable to find email {row[by]} in email list memory")
                continue
            new = _contact(row)
            if new.active and not held.active:
                self.raised.append(row[EMAIL])
            del self.contacts[address_key(row[by])]
            self.contacts[address_key(row[EMAIL])] = Held(
                new.email, new.name, new.active, held.variables | new.variables
            )
        return Accepted() if not errors else Partial(len(rows) - len(errors), tuple(errors))

    def _refusal(self, row: dict[str, Any], *, adding: bool) -> str | None:
        if row[EMAIL] in self.reject:
            return self.reject[row[EMAIL]]
        for variable in json.loads(row[VARIABLES]):
            if variable["name"] not in self.variables:
                return (
                    f"Variable name {variable['name']} not found in defined email list variables! Try to add it first!"
                )
        if adding and address_key(row[EMAIL]) in self.contacts:
            return f"Contact with email {row[EMAIL]} already exists"
        return None


def _contact(row: dict[str, Any]) -> Held:
    variables = {one["name"]: one["value"] for one in json.loads(row[VARIABLES])}
    return Held(row[EMAIL], row[NAME], row[ACTIVE], variables)
