"""What `inspect` says of each sample, kept in `golden/`. To renew them after a change that was meant:

python tests/inspection/goldens.py
"""

import contextlib
import io
import os
from pathlib import Path

from syncengine.cli.main import main

SAMPLES = Path(__file__).parents[2] / "sample_data"
GOLDEN = Path(__file__).parent / "golden"
FOLDERS = ("crm", "troubles")


def samples() -> list[str]:
    """Every sample file, as `folder/name`."""
    return [f"{folder}/{path.name}" for folder in FOLDERS for path in sorted((SAMPLES / folder).iterdir())]


def inspected(sample: str) -> str:
    """What a person sees who inspects the sample with every column, and the exit code."""
    folder, _, name = sample.partition("/")
    out, before, code = io.StringIO(), Path.cwd(), None
    os.chdir(SAMPLES / folder)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            main(["inspect", name, "--all"])
    except SystemExit as left:
        code = left.code
    finally:
        os.chdir(before)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "\n".join([*lines, f"exit code {code}"]) + "\n"


def golden_of(sample: str) -> Path:
    return GOLDEN / f"{sample.replace('/', '-')}.txt"


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for old in GOLDEN.iterdir():
        old.unlink()
    for one in samples():
        golden_of(one).write_text(inspected(one), encoding="utf-8")
