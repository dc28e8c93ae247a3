"""The script of somebody in a hurry: `python benchmarks/peers/httpx_script.py FILE URL [TASKS]`.

csv, json, one `httpx.AsyncClient`, and as many tasks as requests may be in flight (16).
"""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from contacts import HEADERS, PATH, batches, body


async def sender(client: httpx.AsyncClient, todo: Iterator[list[dict[str, Any]]]) -> None:
    for batch in todo:
        answer = await client.post(PATH, content=json.dumps(body(batch)))
        answer.raise_for_status()
        if answer.json().get("result") is not True:
            sys.exit(f"refused: {answer.text}")


async def main(path: Path, url: str, tasks: int) -> None:
    limits = httpx.Limits(max_connections=tasks, max_keepalive_connections=tasks)
    async with httpx.AsyncClient(base_url=url, headers=HEADERS, limits=limits, timeout=60) as client:
        todo = batches(path)
        await asyncio.gather(*(sender(client, todo) for _ in range(tasks)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 16))
