"""Presets from their files: those of the package, and a user's own, which win where the names are the same."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from syncengine.errors import ConfigError
from syncengine.normalise.date_formats import check_date_formats
from syncengine.presets.model import Preset

FOLDER: Final = "presets"  #: beside the config


def load_presets(base: Path) -> Mapping[str, Preset]:
    """Every preset by name: ours, and those of `base`/presets. Raises ConfigError, naming file and key of a fault."""
    folder = base / FOLDER
    own = [_from_file(path) for path in sorted(folder.glob("*.toml"))] if folder.is_dir() else []
    return {preset.name: preset for preset in (*_packaged(), *own)}


def preset_named(name: str, presets: Mapping[str, Preset]) -> Preset:
    """Raises ConfigError, with the names there are, if none is called so."""
    if name in presets:
        return presets[name]
    near = difflib.get_close_matches(name, presets, n=1)
    meant = f'preset = "{near[0]}"' if near else "leave it out, and map the columns in [job.columns]"
    raise ConfigError(f'no preset is called "{name}"', why=f"there are: {', '.join(presets)}", fix=meant, code="preset")


def read_preset(text: str, shown: str) -> Preset:
    """A preset from its TOML. Raises ConfigError."""
    try:
        preset = Preset.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{shown}: not TOML", why=str(error), fix="mend that line", code="preset") from error
    except ValidationError as error:
        first, *others = [_sentence(fault) for fault in error.errors(include_url=False)]
        raise ConfigError(f"{shown}: {first}", why="\n".join(others), fix=_FIX, code="preset") from None
    check_date_formats(preset.dates)
    return preset


_FIX: Final = "the presets of the package show the shape: syncengine/presets/*.toml"


@cache
def _packaged() -> tuple[Preset, ...]:
    files = [entry for entry in resources.files("syncengine.presets").iterdir() if entry.name.endswith(".toml")]
    return tuple(read_preset(entry.read_text("utf-8"), entry.name) for entry in sorted(files, key=lambda e: e.name))


def _from_file(path: Path) -> Preset:
    shown = f"{FOLDER}/{path.name}"
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown}: can't be read", why=str(error), code="preset") from error
    return read_preset(text, shown)


def _sentence(fault: Mapping[str, Any]) -> str:
    place = ".".join(str(part) for part in _without_positions(fault["loc"]))
    kind = fault["type"]
    if kind == "extra_forbidden":
        return f"unknown key `{place}`"
    if kind == "missing":
        return f"`{place}` is missing"
    return f"`{place}` {str(fault['msg']).removeprefix('Value error, ').removeprefix('Input ')}"


def _without_positions(place: Iterable[str | int]) -> Iterable[str | int]:
    return [part for part in place if not isinstance(part, int)] or ["the file"]
