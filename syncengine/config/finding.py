"""Where the config is, and a first look at it. Imports nothing that is slow to load."""

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from syncengine.errors import ConfigError

FILE_NAME: Final = "syncengine.toml"
PREFIX: Final = "SYNCENGINE_"


def find_config(start: Path, environment: Mapping[str, str]) -> Path:
    """The config file: `SYNCENGINE_CONFIG`, or `syncengine.toml` in `start` or a parent. Raises ConfigError."""
    named = environment.get(f"{PREFIX}CONFIG")
    if named:
        return Path(named)
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    raise ConfigError(
        f"no {FILE_NAME} here or in a folder above",
        why=f"looked in {start} and its parents",
        fix="make one from your file: syncengine init contacts.csv    or see it work first: syncengine demo",
        code="config-missing",
    )


def likely_source(path: Path, jobs: Sequence[str]) -> str | None:
    """The source of the first job to be run, as the config at `path` has it; None where that is not plain to see.

    Nothing is checked here, and nobody is told: it is for work that may turn out to have been for nothing.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError):
        return None  # `load_config` tells why
    written = content.get("job")
    tables = [one for one in written if isinstance(one, dict)] if isinstance(written, list) else []
    first = next((one for one in tables if not jobs or one.get("name") == jobs[0]), {})
    source: Any = first.get("source")
    source = source.get("path") if isinstance(source, dict) else source
    return source if isinstance(source, str) and "${" not in source else None
