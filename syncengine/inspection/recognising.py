"""A file opened as the preset that fits it would have it: by the one named, or the one its headers speak for."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from syncengine.errors import SourceError
from syncengine.opening import preset_options
from syncengine.ports import Source
from syncengine.presets import Match, Preset, preset_named, recognise
from syncengine.sources import SourceOptions, members, open_source

_GUESS: Final = "a guess"


@dataclass(frozen=True, slots=True)
class Recognised:
    """An opened file. `match` is the preset taken, if one is; `suggestions` are others that may fit."""

    source: Source
    options: SourceOptions
    match: Match | None
    suggestions: tuple[Match, ...] = ()


def open_recognised(
    path: str,
    base: Path,
    presets: Mapping[str, Preset],
    *,
    wanted: str | None = None,
    told: Mapping[str, Any] | None = None,
) -> Recognised:
    """Open `path`, relative to `base`. `wanted` names a preset, "none" for none; `told` are options of the user's.

    Raises SourceError, ConfigError.
    """
    plain = SourceOptions(path, base, **(told or {}))
    if wanted == "none":
        return Recognised(open_source(plain), plain, None)
    if wanted is not None:
        preset = preset_named(wanted, presets)
        options = _with(plain, preset, told)
        source = open_source(options)
        found = recognise(source.columns, [preset], source.describe().files)
        return Recognised(source, options, found[0] if found else Match(preset, 0.0, 0, len(source.columns)))
    return _by_headers(plain, presets, told)


def _by_headers(plain: SourceOptions, presets: Mapping[str, Preset], told: Mapping[str, Any] | None) -> Recognised:
    try:
        source = open_source(plain)
    except SourceError as refused:
        if refused.code == "several-members":
            return _by_members(plain, presets, told, refused)
        raise
    matches = recognise(source.columns, presets.values(), source.describe().files)
    if not matches and _GUESS in source.describe().facts.get("encoding", ""):
        return _by_encoding(Recognised(source, plain, None), presets, told)
    return _taken(source, plain, matches, told)


def _taken(
    source: Source, plain: SourceOptions, matches: tuple[Match, ...], told: Mapping[str, Any] | None
) -> Recognised:
    if not matches or not matches[0].sure:
        return Recognised(source, plain, None, matches)
    best = matches[0]
    options = _with(plain, best.preset, told)
    return Recognised(source if options == plain else open_source(options), options, best, matches[1:])


def _by_members(
    plain: SourceOptions, presets: Mapping[str, Preset], told: Mapping[str, Any] | None, refused: SourceError
) -> Recognised:
    """A zip with several tables is a CRM's if some of them, taken together, have its headers."""
    inside = members(plain)
    for preset in presets.values():
        if preset.read.member is None:
            continue
        options = _with(plain, preset, told)
        try:
            source = open_source(options)
        except SourceError as error:
            if error.code in {"no-member", "columns-differ"}:
                continue
            raise
        found = recognise(source.columns, [preset], inside)
        if found and found[0].sure:
            return Recognised(source, options, found[0])
    raise refused


def _by_encoding(opened: Recognised, presets: Mapping[str, Preset], told: Mapping[str, Any] | None) -> Recognised:
    """Headers that a wrong guess of the encoding has garbled are no preset's: try those that the presets expect."""
    for preset in presets.values():
        if not preset.read.encodings:
            continue
        options = _with(opened.options, preset, told)
        source = open_source(options)
        found = recognise(source.columns, [preset], source.describe().files)
        if found and found[0].sure:
            return Recognised(source, options, found[0])
    return opened


def _with(plain: SourceOptions, preset: Preset, told: Mapping[str, Any] | None) -> SourceOptions:
    hints = {name: value for name, value in preset_options(preset).items() if name not in (told or {})}
    return replace(plain, **hints)
