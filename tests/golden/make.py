"""Keeps a state directory as this version of the program leaves it: `python tests/golden/make.py`, before its schema
changes. It has 230 contacts from one finished run, and a second run of 115 changes that was stopped after its first
request. test_golden_states.py opens it with every later version.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from syncengine.sandbox import Sandbox
from syncengine.sandbox.serve import running
from syncengine.schema import SCHEMA_VERSION

LIST = "5537ab2a08d241dc69326b19"
CONFIG = """
[account]
token = "${{SMARTSENDER_TOKEN}}"
url = "{url}"
rate = 500
concurrency = 1

[[job]]
name = "people"
list = "5537ab2a08d241dc69326b19"
source = "c.csv"
consent = "source"

[job.columns]
email = "Email"
name = "Full name"
active = "Subscribed"

[job.variables]
city = "City"
"""


def source(*, later: bool) -> str:
    """The two files. In the later one everybody of two towns has moved."""
    towns = ["City 0", "Aktau", "Astana", "City 3"] if later else [f"City {number}" for number in range(4)]
    rows = [
        f"person{number}@example.com,Name {number},{'no' if number % 10 == 3 else 'yes'},{towns[number % 4]}"
        for number in range(230)
    ]
    return "\n".join(["Email,Full name,Subscribed,City", *rows, "nobody,No address,yes,X"]) + "\n"


def main() -> None:
    token = "golden-token-4711"
    target = Path(__file__).with_name(f"state-{SCHEMA_VERSION}.zip")
    with running(Sandbox(tokens=[token])) as url, tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "syncengine.toml").write_text(CONFIG.format(url=url), encoding="utf-8")
        for later, words in ((False, ()), (True, ("--max-requests", "1"))):
            (folder / "c.csv").write_text(source(later=later), encoding="utf-8")
            command = [sys.executable, "-m", "syncengine", "sync", "--yes", *words]
            subprocess.run(command, cwd=folder, env={**os.environ, "SMARTSENDER_TOKEN": token}, check=not later)
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as packed:
            for path in sorted((folder / ".syncengine").rglob("*")):
                if path.is_file() and not path.name.startswith(("lock", "pace", "rows.notes")):
                    packed.write(path, path.relative_to(folder / ".syncengine"))
    sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main()
