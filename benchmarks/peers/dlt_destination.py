"""A dlt pipeline with a custom destination: `python benchmarks/peers/dlt_destination.py FILE URL FOLDER`.

The destination posts batches of 100, as dlt's documentation shows it. dlt keeps its own state in FOLDER; a custom
destination has no merge, so that every run sends every row.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # before dlt is imported: nobody is told of this

import dlt
import requests
from contacts import BATCH, HEADERS, PATH, batches, body

FIELDS = ("email", "name", "active", "variables")


def main(path: Path, url: str, folder: Path) -> None:
    session = requests.Session()
    session.headers.update(HEADERS)

    @dlt.destination(name="smartsender", batch_size=BATCH)
    def smartsender(items: list[dict[str, Any]], table: dict[str, Any]) -> None:  # noqa: ARG001  # dlt's signature
        answer = session.post(
            url + PATH, json=body([{name: item[name] for name in FIELDS} for item in items]), timeout=30
        )
        answer.raise_for_status()
        if answer.json().get("result") is not True:
            raise RuntimeError(f"refused: {answer.text}")

    @dlt.resource(name="contacts", columns={"variables": {"data_type": "json"}})
    def contacts() -> Iterator[list[dict[str, Any]]]:
        yield from batches(path)

    pipeline = dlt.pipeline("contacts", destination=smartsender(), pipelines_dir=str(folder))
    pipeline.run(contacts()).raise_on_failed_jobs()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
