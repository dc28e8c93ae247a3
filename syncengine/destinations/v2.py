"""SmartSender API v2: lists and their contacts (smartsender.md §1)."""

import json
from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl

from syncengine.destinations._answers import read_answer, read_created
from syncengine.destinations._http import Door, Reply
from syncengine.frames import ACTIVE, CONTACT, EMAIL, NAME, VARIABLES
from syncengine.model import Answer, Call, Variable, VariableType
from syncengine.ports import Batch
from syncengine.settlement import Ask
from syncengine.wire import joined, json_string, json_text

BATCH_SIZE: Final = 100  #: documented for batch update; add and remove state no limit, so the same is used there

_ROOT: Final = "/api/rest/email-list"
_PATHS: Final = {
    Call.ADD: f"{_ROOT}/contacts/add",
    Call.UPDATE: f"{_ROOT}/contacts-batch/update",
    Call.RENAME: f"{_ROOT}/contacts-batch/update",
    Call.UPDATE_ONE: f"{_ROOT}/contacts/update",
    Call.REMOVE: f"{_ROOT}/contacts/remove",
}
_TYPES: Final = {VariableType.STRING: "ENUM_STRING", VariableType.DATE: "ENUM_DATE"}


class SmartSenderV2:
    """One list behind API v2 (a `Destination`)."""

    def __init__(self, door: Door, list_id: str) -> None:
        self._door = door
        self._list = json.dumps(list_id)
        self._beginning = f'{{"emailListId":{self._list},'.encode()

    @property
    def batch_size(self) -> int:
        return BATCH_SIZE

    @property
    def requests(self) -> int:
        return self._door.requests

    def prepare(self, contacts: pl.DataFrame, call: Call) -> pl.Series:
        return contacts.select(_form(call).alias("form")).to_series()

    async def submit(self, batch: Batch, ask: Ask) -> Answer:
        reply = await self._door.post(_PATHS[ask.call], self._body(batch, ask))
        return read_answer(reply, ask.call, len(ask.positions)) if isinstance(reply, Reply) else reply

    async def create_variables(self, variables: Sequence[Variable]) -> Answer:
        metadata = [{"name": variable.name, "type": _TYPES[variable.type]} for variable in variables]
        body = f'{{"emailListId":{self._list},"variablesMetadata":{json.dumps(metadata)}}}'
        reply = await self._door.post(f"{_ROOT}/variables/add", body)
        return read_created(reply) if isinstance(reply, Reply) else reply

    async def aclose(self) -> None:
        await self._door.aclose()

    def _body(self, batch: Batch, ask: Ask) -> bytes:
        if ask.call is batch.prepared and len(ask.positions) == batch.size:
            contacts = batch.body
        else:
            contacts = joined(self.prepare(batch.contacts[list(ask.positions)], ask.call))
        match ask.call:
            case Call.REMOVE:
                return b"".join((self._beginning, b'"emails":[', contacts, b"]}"))
            case Call.UPDATE_ONE:  # one contact: its object's members stand beside the list's id
                return self._beginning + contacts[1:]
            case Call.ADD | Call.UPDATE | Call.RENAME:
                return b"".join((self._beginning, b'"contacts":[', contacts, b"]}"))


def _form(call: Call) -> pl.Expr:
    """A contact in the form of a call, from the columns of the plan."""
    match call:
        case Call.ADD:
            return _flat('{"email":"', json_text(pl.col(EMAIL)), '",', *_content(), "}")
        case Call.UPDATE | Call.UPDATE_ONE:
            return _flat('{"contact":"', json_text(pl.col(EMAIL)), '","parameters":{', *_content(), "}}")
        case Call.RENAME:
            old, new = json_text(pl.col(CONTACT)), json_text(pl.col(EMAIL))
            return _flat('{"contact":"', old, '","parameters":{"email":"', new, '",', *_content(), "}}")
        case Call.REMOVE:
            return json_string(pl.col(EMAIL))


def _content() -> Iterator[pl.Expr | str]:
    """`"name":…,"active":…,"variables":[…]`: what add and update have in common. `active` is never left out."""
    yield pl.concat_str(pl.lit('"name":"'), json_text(pl.col(NAME)), pl.lit('",'))
    yield '"active":'
    yield pl.when(ACTIVE).then(pl.lit("true")).otherwise(pl.lit("false"))
    for part in (pl.lit(',"variables":'), pl.col(VARIABLES)):
        yield pl.when(pl.col(VARIABLES) != "[]").then(part)


def _flat(*parts: pl.Expr | str) -> pl.Expr:
    """One concatenation of all: each further one would copy what is most of a plan once more. Nulls are left out."""
    return pl.concat_str([pl.lit(part) if isinstance(part, str) else part for part in parts], ignore_nulls=True)
