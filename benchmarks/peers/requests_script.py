"""The script most people write: `python benchmarks/peers/requests_script.py FILE URL`. One request after the other."""

import sys
from pathlib import Path

import requests
from contacts import HEADERS, PATH, batches, body


def main(path: Path, url: str) -> None:
    with requests.Session() as session:
        session.headers.update(HEADERS)
        for batch in batches(path):
            answer = session.post(url + PATH, json=body(batch), timeout=30)
            answer.raise_for_status()
            if answer.json().get("result") is not True:
                sys.exit(f"refused: {answer.text}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
