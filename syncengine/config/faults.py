"""What is wrong with a config, as a person reads it: file, line, key, what it may have meant, and what to write."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from syncengine.config.exposure import SECRETS
from syncengine.config.model import (
    ActiveColumn,
    Config,
    EmailColumn,
    Job,
    PresetJob,
    SourceTable,
    VariableTable,
)
from syncengine.config.toml_lines import locate
from syncengine.errors import ConfigError

Place = tuple[str | int, ...]
"""Where a value stands, as pydantic gives it: ("job", 0, "columns", "email")."""

_SECRET = re.compile(r"""(\b(?:token|proxy|secret)["']?\s*=\s*).*""")
_SECRET_OR_KEY = re.compile(r"""(\b(?:token|proxy|secret|key)["']?\s*=\s*).*""")  #: a job's `key` is no secret
_SHOWABLE = re.compile(r"""\s*(\[|[\w."'-]+\s*=)""")  #: of a text over several lines, a later one may be a secret
_HIDDEN: Final = frozenset(  #: places whose values are shown to nobody
    {*SECRETS, ("account", "proxy"), ("smartersends", "proxy")}
)
_EXAMPLES: Final = {
    "account": '[account], with token = "${SMARTSENDER_TOKEN}" below it',
    "account.url": 'url = "https://partner.sndmart.com"',
    "account.rate": "rate = 5",
    "account.concurrency": "concurrency = 8",
    "account.timeout": "timeout = 30",
    "account.max_outage": "max_outage = 900",
    "state.path": 'path = ".syncengine"',
    "job": "[[job]], in two pairs of brackets",
    "job.name": 'name = "newsletter"',
    "job.list": 'list = "5537ab2a08d241dc69326b19", the id in the address of the list\'s page',
    "job.source": 'source = "exports/contacts-*.csv"',
    "job.mode": 'mode = "upsert"',
    "job.consent": 'consent = "source" (the file decides who is subscribed) or consent = "keep" (SmartSender does; the '
    "file may only unsubscribe)",
    "job.key": 'key = "email"',
    "job.columns": '[job.columns], with email = "Email" and active = "Subscribed" below it',
    "job.columns.email": 'email = "Email"',
    "job.columns.name": 'name = "Full name"',
    "job.columns.active": 'active = "Subscribed", or active = true, or { column = "Opted out", invert = true }',
    "job.variables": 'firstName = "First name"',
    "job.mirror.on_missing": 'on_missing = "unsubscribe"',
    "job.mirror.max_missing": 'max_missing = "5%", or a number of contacts',
    "job.guard.max_shrink": 'max_shrink = "20%", or a number of rows',
    "job.guard.max_held": 'max_held = "50%", or a number of rows',
    "job.guard.fail_on": 'fail_on = "1%", or a number of contacts',
}
"""What to write, by key; examples of the keys people get wrong."""


def not_toml(path: Path, text: str, error: tomllib.TOMLDecodeError) -> ConfigError:
    """A file that is no TOML, with the line at fault and the usual reason for it."""
    why = str(error)
    found = re.search(r"at line (\d+)", why)
    lines = text.splitlines()
    number = int(found[1]) if found else len(lines) if "end of document" in why else 0
    shown = ""
    if 0 < number <= len(lines) and _SHOWABLE.match(lines[number - 1]):
        where = "job" if any(line.lstrip().startswith("[[job") for line in lines[:number]) else "account"
        shown = f"\n{number} | {_without_secrets(lines[number - 1], (where,))}"
    reasons = {
        "Invalid value": 'texts stand in quotes: name = "value"',
        "Cannot overwrite": "the key stands there already: take one of the two out",
        "Cannot declare": "the table stands there already: put the keys below one of the two",
    }
    fix = next((told for words, told in reasons.items() if words in why), "mend that line")
    return ConfigError(
        f"{path.name}{f':{number}' if number else ''}: not TOML{shown}", why=why, fix=fix, code="config-toml"
    )


_SHAPES: Final = frozenset(
    {
        *("str", "bool"),
        *(table.__name__ for table in (SourceTable, EmailColumn, ActiveColumn, VariableTable, Job, PresetJob)),
    }
)
_PLAIN: Final = {
    "missing": "is missing",
    "bool_type": "must be true or false",
    "string_type": "must be a text in quotes",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "list_type": "must be a list",
    "too_short": "must have at least one",
    "dict_type": "must be a table",
    "model_type": "must be a table",
}


_PATTERNS: Final[Mapping[str | int, str]] = {
    "list": "must be an id: letters, digits, - and _",
    "name": "must be made of letters, digits, - . and _",
}


def told(path: Path, text: str, error: ValidationError, overridden: Mapping[Place, str]) -> ConfigError:
    """All faults as one error: the first in full, the others a line each."""
    faults = sorted(_faults(error), key=lambda fault: ("is missing" in fault[1], locate(text, fault[0]) or 0))
    place, sentence = faults[0]
    others = [f"{_where(path, text, other, overridden)}: {message}" for other, message in faults[1:]]
    return ConfigError(
        f"{_where(path, text, place, overridden)}: {sentence}{_line(text, place, overridden)}",
        why="\n".join(others),
        fix=_fix(place, sentence),
        code="config-key",
    )


def _where(path: Path, text: str, place: Place, overridden: Mapping[Place, str]) -> str:
    """The variable of the environment or the line of the file that has the value at fault."""
    if place in overridden:
        return overridden[place]
    line = locate(text, place)
    return f"{path.name}:{line}" if line else path.name


def _line(text: str, place: Place, overridden: Mapping[Place, str]) -> str:
    """That line, to be shown below the fault."""
    line = None if place in overridden else locate(text, place)
    if line is None:
        return ""
    return f"\n{line} | {_without_secrets(text.splitlines()[line - 1], place)}"


def _without_secrets(line: str, place: Place) -> str:
    secret = _SECRET if place and place[0] == "job" else _SECRET_OR_KEY
    return secret.sub(r"\1***", line.strip())


def _fix(place: Place, sentence: str) -> str:
    if sentence.startswith("unknown key"):
        near = _near(place)
        return f"write `{near}` for `{place[-1]}`" if near else f"take `{place[-1]}` out"
    example = _EXAMPLES.get(dotted(place))
    return f"write {example}" if example else f"mend {dotted(place)}" if place else "mend the file"


def _faults(error: ValidationError) -> list[tuple[Place, str]]:
    """(place, sentence) of each fault, one a place: a value that fits none of several shapes is one fault."""
    by_place: dict[Place, list[str]] = {}
    for fault in error.errors(include_url=False):
        place = _place(fault)
        by_place.setdefault(place, []).append(_sentence(fault, place))
    deepest = {
        place for place in by_place if not any(len(o) > len(place) and o[: len(place)] == place for o in by_place)
    }
    return [(place, " or ".join(dict.fromkeys(sentences))) for place, sentences in by_place.items() if place in deepest]


def _place(fault: Mapping[str, Any]) -> Place:
    """Where a fault is, without the parts that name one of several accepted shapes instead of a key."""
    *upper, last = fault["loc"] or (None,)
    is_key = fault["type"] in {"extra_forbidden", "missing"}
    return tuple(part for part in upper if not _is_shape(part)) + ((last,) if is_key or not _is_shape(last) else ())


def _is_shape(part: str | int | None) -> bool:
    return part is None or (isinstance(part, str) and (part in _SHAPES or "[" in part))


def _sentence(fault: Mapping[str, Any], place: Place) -> str:
    name = f"`{dotted(place)}` " if place else ""
    kind = fault["type"]
    if kind == "extra_forbidden":
        return _unknown_key(place)
    if kind == "list_type" and place and isinstance(fault["input"], dict):
        return f"{name}is a list of tables: write [[{dotted(place)}]]"
    if kind in _PLAIN:
        shown = "" if kind == "missing" or place in _HIDDEN else f", not {_shown(fault['input'])}"
        return f"{name}{_PLAIN[kind]}{shown}"
    if kind == "string_pattern_mismatch":
        return f"{name}{_PATTERNS.get(place[-1], 'is not of the right form')}, not {_shown(fault['input'])}"
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{name}{message[:1].lower()}{message[1:]}" + (
        f", not {_shown(fault['input'])}" if kind in {"enum", "literal_error"} else ""
    )


def _unknown_key(place: Place) -> str:
    table, near = place[:-1], _near(place)
    meant = f": did you mean `{near}`?" if near else ""
    return f"unknown key `{place[-1]}` in {_table_name(table)}{meant} (keys there: {', '.join(_keys_at(table))})"


def _near(place: Place) -> str | None:
    """The key that a key nobody knows may have meant."""
    return next(iter(difflib.get_close_matches(str(place[-1]), _keys_at(place[:-1]), n=1, cutoff=0.5)), None)


def _keys_at(table: Place) -> list[str]:
    """Keys the table at this place knows."""
    model: type[BaseModel] | None = Config
    for part in table:
        if isinstance(part, int) or model is None or model is VariableTable:  # the part names one of many tables
            continue
        model = _model_in(model.model_fields[part].annotation) if part in model.model_fields else None
    return [field.alias or name for name, field in model.model_fields.items()] if model else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The table type within an annotation such as `str | SourceTable` or `list[Job]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def dotted(place: Place) -> str:
    return ".".join(str(part) for part in place if not isinstance(part, int))


def _table_name(table: Place) -> str:
    if not table:
        return "the file"
    return f"[[{dotted(table)}]]" if isinstance(table[-1], int) else f"[{dotted(table)}]"


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
