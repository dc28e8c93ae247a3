"""A target of the Singer SDK, fed by the messages of a tap: `python benchmarks/peers/singer_target.py FILE URL`.

The tap's messages are made in the same process, which is kinder than the pipe they usually come through. A target
knows nothing of what an earlier run sent, so that every run sends every row.
"""

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from contacts import BATCH, HEADERS, PATH, body, contacts
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink

FIELDS = ("email", "name", "active", "variables")
PAIR = th.ObjectType(th.Property("name", th.StringType), th.Property("value", th.StringType))
SCHEMA = th.PropertiesList(
    th.Property("email", th.StringType, required=True),
    th.Property("name", th.StringType),
    th.Property("active", th.BooleanType),
    th.Property("variables", th.ArrayType(PAIR)),
).to_dict()


class SmartSenderSink(BatchSink):
    """Posts batches of 100."""

    max_size = BATCH

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.session = requests.Session()
        self.session.headers.update(HEADERS)

    def process_batch(self, context: dict[str, Any]) -> None:
        records = [{name: record[name] for name in FIELDS} for record in context["records"]]
        answer = self.session.post(self.config["url"] + PATH, json=body(records), timeout=30)
        answer.raise_for_status()
        if answer.json().get("result") is not True:
            raise RuntimeError(f"refused: {answer.text}")


class SmartSenderTarget(Target):
    name = "target-smartsender"
    config_jsonschema = th.PropertiesList(th.Property("url", th.StringType, required=True)).to_dict()
    default_sink_class = SmartSenderSink


class Tap(io.TextIOBase):
    """The messages of a tap over a CSV file, a line each."""

    def __init__(self, path: Path) -> None:
        self._lines = self._messages(path)

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        return self._lines

    @staticmethod
    def _messages(path: Path) -> Iterator[str]:
        head = {"type": "SCHEMA", "stream": "contacts", "schema": SCHEMA, "key_properties": ["email"]}
        yield json.dumps(head)
        for contact in contacts(path):
            yield json.dumps({"type": "RECORD", "stream": "contacts", "record": contact})


def main(path: Path, url: str) -> None:
    SmartSenderTarget(config={"url": url}).listen(Tap(path))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
