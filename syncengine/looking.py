"""What `state show` shows: numbers of a list, or one contact. Reads only, also while a run writes."""

import contextlib
import json
from typing import Any

import polars as pl

from syncengine.bootstrap import Workshop
from syncengine.config.model import Job
from syncengine.frames import ACTIVE, ADDRESS, KEY, VARIABLES
from syncengine.ledger import read_ledger
from syncengine.normalise.addresses import address_key
from syncengine.state import StateStore


def look_at_lists(workshop: Workshop, jobs: list[Job]) -> list[dict[str, Any]]:
    """job, list, contacts, active, variables, generation of each job's list."""
    return [_in_numbers(workshop, job) for job in jobs]


def look_at_contact(workshop: Workshop, job: Job, email: str) -> dict[str, Any] | None:
    """One contact of a job's list by its address, whatever its spelling; None if the state does not have it."""
    with contextlib.ExitStack() as stack:
        store = _store(workshop, job, stack)
        path = store.current().path if store else None
        if path is None:
            return None
        wanted = address_key(email)
        rows = pl.scan_parquet(path).filter((pl.col(KEY) == email) | (pl.col(ADDRESS) == wanted)).collect()
    if rows.is_empty():
        return None
    row = rows.row(0, named=True)
    return {
        "job": job.name,
        "list": job.list_id,
        "key": row["key"],
        "email": row["email"],
        "name": row["name"],
        "active": row["active"],
        "variables": {one["name"]: one["value"] for one in json.loads(row[VARIABLES])},
        "fingerprint": f"{row['fingerprint']:016x}",
        "origin": row["origin"],
        "confirmed_at": row["confirmed_at"].isoformat(),
    }


def _in_numbers(workshop: Workshop, job: Job) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        store = _store(workshop, job, stack)
        state = store.current() if store else None
        active = 0
        if state is not None and state.path is not None:
            active = int(pl.scan_parquet(state.path).select(pl.col(ACTIVE).sum()).collect().item())
        return {
            "job": job.name,
            "list": job.list_id,
            "contacts": state.contacts if state else 0,
            "active": active,
            "variables": sorted(store.variables()) if store else [],
            "generation": state.generation if state else 0,
        }


def _store(workshop: Workshop, job: Job, stack: contextlib.ExitStack) -> StateStore | None:
    connection = read_ledger(workshop.state_folder)
    if connection is None:
        return None
    stack.callback(connection.close)
    return StateStore(connection, workshop.state_folder, job.list_id, workshop.loaded.config.account.url)
