"""What `state show` shows: numbers of a list, or one contact. Reads only, also while a run writes."""

import contextlib
import json
import sqlite3
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import polars as pl

from syncengine.bootstrap import Workshop
from syncengine.config.model import Job
from syncengine.frames import ACTIVE, ADDRESS, CONFIRMED_AT, FINGERPRINT, KEY, LEFT_SOURCE, ORIGIN, VARIABLES
from syncengine.leaving import TOLD, UNSUBSCRIBED
from syncengine.ledger import read_ledger
from syncengine.normalise.addresses import address_key
from syncengine.state import ConsentBook, StateStore, Word

SUBSCRIBED: Final = "subscribed"
_WHOSE_WORD: Final = {
    "webhook": "by SmartSender's own word (webhook)",
    "sync": "as the source said",
    "left-source": "since they left the source",
    "adopted": "as the adopted export said",
    "departed": "and so when a mirror removed them",
}


def look_at_lists(workshop: Workshop, jobs: list[Job]) -> list[dict[str, Any]]:
    """job, list, contacts, active, variables, generation of each job's list."""
    return [_in_numbers(workshop, job) for job in jobs]


def look_at_contact(workshop: Workshop, job: Job, email: str) -> dict[str, Any] | None:
    """One contact of a job's list by its address, whatever its spelling: what the list holds, and since when and by
    whose word they are subscribed or not. None if the state knows nothing of them.

    Whoever is known to be off and not on the list has no key and no content.
    """
    with contextlib.ExitStack() as stack:
        connection = read_ledger(workshop.state_folder)
        if connection is None:
            return None
        stack.callback(connection.close)
        address, row = address_key(email), None
        store = _store(workshop, job, connection)
        rows = store.contacts().filter((pl.col(KEY) == email) | (pl.col(ADDRESS) == address)).collect()
        row = None if rows.is_empty() else rows.row(0, named=True)
        word = ConsentBook(connection, job.list_id).word_about(address if row is None else row[ADDRESS])
    consent = _consent(row, word)
    if consent is None:
        return None
    return {"job": job.name, "list": job.list_id} | _content(row, address) | {"consent": consent}


def _content(row: Mapping[str, Any] | None, address: str) -> dict[str, Any]:
    if row is None:
        nothing = dict.fromkeys(("key", "email", "name", "active", "variables", "fingerprint", "origin"))
        return nothing | {"email": address, "active": False, "variables": {}, "confirmed_at": None}
    return {
        "key": row["key"],
        "email": row["email"],
        "name": row["name"],
        "active": row["active"],
        "variables": {one["name"]: one["value"] for one in json.loads(row[VARIABLES])},
        "fingerprint": f"{row['fingerprint']:016x}",
        "origin": row["origin"],
        "confirmed_at": row["confirmed_at"].isoformat(),
    }


def _consent(row: Mapping[str, Any] | None, word: Word | None) -> dict[str, str] | None:
    """status, source and at: the service's word counts before what the list was last confirmed to hold."""
    if word is not None:
        return {"status": word.kind, "source": word.origin, "at": word.at}
    if row is None:
        return None
    if row[ACTIVE]:
        status, source = SUBSCRIBED, row[ORIGIN]
    else:
        status, source = UNSUBSCRIBED, "left-source" if row[FINGERPRINT] == LEFT_SOURCE else row[ORIGIN]
    return {"status": status, "source": source, "at": row[CONFIRMED_AT].isoformat()}


def told_consent(consent: Mapping[str, str]) -> str:
    """`unsubscribed, 2026-11-25 10:15 UTC, by the source`."""
    at = datetime.fromisoformat(consent["at"]).astimezone(UTC)
    status = {SUBSCRIBED: SUBSCRIBED, **TOLD}[consent["status"]]
    return f"{status}, {at:%Y-%m-%d %H:%M} UTC, {_WHOSE_WORD.get(consent['source'], consent['source'])}"


def _in_numbers(workshop: Workshop, job: Job) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        connection = read_ledger(workshop.state_folder)
        if connection is not None:
            stack.callback(connection.close)
        store = _store(workshop, job, connection) if connection is not None else None
        state = store.current() if store else None
        active = 0
        if store is not None:
            active = int(store.contacts().select(pl.col(ACTIVE).sum()).collect().item())
        return {
            "job": job.name,
            "list": job.list_id,
            "contacts": state.contacts if state else 0,
            "active": active,
            "variables": sorted(store.variables()) if store else [],
            "generation": state.generation if state else 0,
        }


def _store(workshop: Workshop, job: Job, connection: sqlite3.Connection) -> StateStore:
    return StateStore(connection, workshop.state_folder, job.list_id, workshop.loaded.config.account.url)
