"""Contacts of a CSV file in the form API v2 wants, as any script makes them: row by row, and no row is checked."""

import csv
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LIST = "5537ab2a08d241dc69326b19"
TOKEN = "sandbox-token"  # noqa: S105  # the stand-in's
PATH = "/api/rest/email-list/contacts/add"
HEADERS = {"access-token": TOKEN, "content-type": "application/json"}
BATCH = 100
VARIABLES = {
    "phone": "Phone", "company": "Company", "city": "City", "country": "Country", "birthDate": "Born",
    "plan": "Plan", "score": "Score", "created": "Created", "note": "Note",
}  # fmt: skip


def contact(row: dict[str, str]) -> dict[str, Any]:
    """A row of the file as a contact of the API."""
    if row["Born"]:
        day, month, year = row["Born"].split(".")
        row["Born"] = f"{year}-{month}-{day}"
    return {
        "email": row["Email"].strip(),
        "name": row["Full name"],
        "active": row["Subscribed"] == "yes",
        "variables": [{"name": name, "value": row[column]} for name, column in VARIABLES.items() if row[column]],
    }


def contacts(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from map(contact, csv.DictReader(file))


def batches(path: Path) -> Iterator[list[dict[str, Any]]]:
    each = contacts(path)
    while batch := list(itertools.islice(each, BATCH)):
        yield batch


def body(batch: list[dict[str, Any]]) -> dict[str, Any]:
    return {"emailListId": LIST, "contacts": batch}
