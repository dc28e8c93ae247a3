"""From a file to a checked `Config`: found, read, filled in from the environment, every fault named with its line."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from syncengine.config.exposure import refuse_exposed
from syncengine.config.model import (
    Account,
    ActiveColumn,
    Config,
    EmailColumn,
    Instance,
    Job,
    PresetJob,
    SourceTable,
    VariableTable,
    is_loopback_url,
)
from syncengine.config.toml_lines import locate
from syncengine.errors import ConfigError

FILE_NAME: Final = "syncengine.toml"
PREFIX: Final = "SYNCENGINE_"

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_SECRET = re.compile(r"""(\b(?:token|proxy|secret)["']?\s*=\s*).*""")
_SECRET_OR_KEY = re.compile(r"""(\b(?:token|proxy|secret|key)["']?\s*=\s*).*""")  #: a job's `key` is no secret
SECRETS: Final = (("account", "token"), ("account", "key"), ("account", "secret"), ("smartersends", "key"))
_HIDDEN: Final = frozenset(  #: places whose values are shown to nobody
    {*SECRETS, ("account", "proxy"), ("smartersends", "proxy")}
)
_NUMBERS: Final = frozenset({"rate", "concurrency", "timeout", "max_outage"})

Place = tuple[str | int, ...]
"""Where a value stands, as pydantic gives it: ("job", 0, "columns", "email")."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked config and where it stands. Paths in it are relative to `folder`.

    `problems` is what is wrong with a secret ("account.token" → error): told when it is needed, so that `plan` works
    without.
    """

    config: Config
    path: Path
    problems: Mapping[str, ConfigError] = field(default_factory=dict)

    @property
    def token_problem(self) -> ConfigError | None:
        """What is wrong with the token."""
        return self.problems.get("account.token")

    @property
    def folder(self) -> Path:
        return self.path.parent

    def jobs(self, names: Sequence[str]) -> list[Job]:
        """The jobs named, in that order and each once; or all. Raises ConfigError."""
        if not self.config.job:
            raise ConfigError(
                f"{self.path.name} has no [[job]]",
                fix="syncengine init contacts.csv shows what one looks like",
                code="job-missing",
            )
        by_name = {job.name: job for job in self.config.job}
        unknown = next((name for name in names if name not in by_name), None)
        if unknown is not None:
            near = difflib.get_close_matches(unknown, by_name, n=1, cutoff=0.5)
            raise ConfigError(
                f'no job is called "{unknown}"' + (f'; did you mean "{near[0]}"?' if near else ""),
                why=f"{self.path.name} has: {', '.join(by_name)}",
                fix=f"name one of them{f', such as {near[0]}' if near else ''}; without a name all are meant",
                code="job-unknown",
            )
        return [by_name[name] for name in dict.fromkeys(names)] if names else list(self.config.job)


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


def load_config(path: Path, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read and check the config at `path`. Raises ConfigError that names file, line and key of every fault."""
    environment = os.environ if environment is None else environment
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path.name}: not TOML", why=str(error), fix="mend that line", code="config-toml") from error
    content, overridden = _with_environment(content, environment)
    filler = _Filler(path, text, environment)
    filled = filler.fill(content, ())
    problems = {}
    for section, key in SECRETS:
        value, problem = _secret(content, filler, (section, key))
        if value is not None:
            filled[section][key] = value
        if problem is not None:
            problems[f"{section}.{key}"] = problem
    try:
        config = Config.model_validate(filled)
    except ValidationError as error:
        raise _told(path, text, error, overridden) from None
    for place in SECRETS:
        problem = None if place in overridden else _exposed(content, config, path, place)
        if problem is not None:
            problems.setdefault(".".join(place), problem)
    return Loaded(config, path.resolve(), problems)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file", fix="syncengine init contacts.csv writes one", code="config-missing"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: can't be read", why=str(error), code="config-unreadable") from error


# -- filling in ---------------------------------------------------------------------------------------------------


def _with_environment(
    content: dict[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, Any], dict[Place, str]]:
    """`SYNCENGINE_ACCOUNT_RATE=10` and its like over the file, in the sections for that; and which counted where."""
    merged = dict(content)
    overridden: dict[Place, str] = {}
    sections = {"account": Account.model_fields, "state": ("path",), "smartersends": Instance.model_fields}
    for section, keys in sections.items():
        for key in keys:
            names = (f"{PREFIX}{section}__{key}".upper(), f"{PREFIX}{section}_{key}".upper())
            name = next((name for name in names if environment.get(name)), None)
            if name is not None:
                table = merged.get(section, {})
                value = _as_number(environment[name]) if key in _NUMBERS else environment[name]
                merged[section] = {**(table if isinstance(table, dict) else {}), key: value}
                overridden[section, key] = name
    return merged, overridden


def _as_number(value: str) -> str | int | float:
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


@dataclass(frozen=True, slots=True)
class _Filler:
    """Fills `${VAR}`, `${VAR:-default}` and `${file:PATH}` in texts."""

    path: Path
    source: str
    environment: Mapping[str, str]

    def fill(self, value: Any, where: Place) -> Any:
        match value:
            case dict():
                return {
                    key: self.fill(inner, (*where, key)) for key, inner in value.items() if (*where, key) not in SECRETS
                }
            case list():
                return [self.fill(inner, (*where, index)) for index, inner in enumerate(value)]
            case str():
                return self.text(value, where)
            case _:
                return value

    def text(self, value: str, where: Place) -> str:
        return _PLACEHOLDER.sub(lambda match: self._placeholder(match[1], where), value)

    def _placeholder(self, inside: str, where: Place) -> str:
        if inside.startswith("file:"):
            return self._file(inside.removeprefix("file:"), where)
        name, has_default, default = inside.partition(":-")
        value = self.environment.get(name, "")
        if value:
            return value
        if has_default:
            return default
        raise ConfigError(
            f"{self._place(where)}: ${{{inside}}} is not set",
            why="the environment has no such variable",
            fix=f"export {name}=…    or give a default: ${{{name}:-…}}",
            code="config-variable",
        )

    def _file(self, name: str, where: Place) -> str:
        path = self.path.parent / name
        try:
            return path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"{self._place(where)}: ${{file:{name}}} can't be read", why=str(error), code="config-variable"
            ) from error

    def _place(self, where: Place) -> str:
        line = locate(self.source, where)
        return f"{self.path.name}{f':{line}' if line else ''}: {_dotted(where)}"


def _secret(content: Mapping[str, Any], filler: _Filler, place: tuple[str, str]) -> tuple[Any, ConfigError | None]:
    """A secret as written, filled in; or what is wrong with it."""
    written = _written(content, place)
    if not isinstance(written, str):
        return written, None
    try:
        return filler.text(written, place), None
    except ConfigError as problem:
        return None, problem


def _written(content: Mapping[str, Any], place: tuple[str, str]) -> Any:
    section = content.get(place[0])
    return section.get(place[1]) if isinstance(section, Mapping) else None


def _exposed(content: Mapping[str, Any], config: Config, path: Path, place: tuple[str, str]) -> ConfigError | None:
    """What is wrong with a secret that stands in a file others can read. The sandbox's is no secret."""
    written, url = _written(content, place), _goes_to(config, place)
    if not isinstance(written, str) or not written or url is None or is_loopback_url(url):
        return None
    files = [path.parent / name.removeprefix("file:") for name in _PLACEHOLDER.findall(written) if "file:" in name]
    if not _PLACEHOLDER.search(written):
        files.append(path)
    try:
        for file in files:
            if file.exists():
                refuse_exposed(file, file.name)
    except ConfigError as problem:
        return problem
    return None


def _goes_to(config: Config, place: tuple[str, str]) -> str | None:
    match place:
        case ("account", "token"):
            return config.account.url
        case ("account", _):
            return config.account.send_url
        case _:
            return config.smartersends.url


# -- telling faults --------------------------------------------------------------------------------------------------

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


def _told(path: Path, text: str, error: ValidationError, overridden: Mapping[Place, str]) -> ConfigError:
    """All faults as one error: the first in full, the others a line each."""
    faults = sorted(_faults(error), key=lambda fault: ("is missing" in fault[1], locate(text, fault[0]) or 0))
    place, sentence = faults[0]
    others = [f"{_where(path, text, other, overridden)}: {message}" for other, message in faults[1:]]
    return ConfigError(
        f"{_where(path, text, place, overridden)}: {sentence}{_line(text, place, overridden)}",
        why="\n".join(others),
        fix=_fix(faults[0]),
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
    secret = _SECRET if place and place[0] == "job" else _SECRET_OR_KEY
    shown = secret.sub(r"\1***", text.splitlines()[line - 1].strip())
    return f"\n{line} | {shown}"


def _fix(fault: tuple[Place, str]) -> str:
    place, sentence = fault
    if place and place[-1] == "consent" and "missing" in sentence:
        return (
            'say who decides who is subscribed: consent = "source" (the file) or consent = "keep" (SmartSender; the '
            "file may only unsubscribe)"
        )
    return f"mend {_dotted(place)}" if place else "mend the file"


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
    name = f"`{_dotted(place)}` " if place else ""
    kind = fault["type"]
    if kind == "extra_forbidden":
        return _unknown_key(place)
    if kind == "list_type" and place and isinstance(fault["input"], dict):
        return f"{name}is a list of tables: write [[{_dotted(place)}]]"
    if kind in _PLAIN:
        shown = "" if kind == "missing" or place in _HIDDEN else f", not {_shown(fault['input'])}"
        return f"{name}{_PLAIN[kind]}{shown}"
    message = str(fault["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return f"{name}{message[:1].lower()}{message[1:]}" + (
        f", not {_shown(fault['input'])}" if kind in {"enum", "literal_error", "string_pattern_mismatch"} else ""
    )


def _unknown_key(place: Place) -> str:
    table, key = place[:-1], str(place[-1])
    known = _keys_at(table)
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    meant = f": did you mean `{near[0]}`?" if near else ""
    return f"unknown key `{key}` in {_table_name(table)}{meant} (keys there: {', '.join(known)})"


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


def _dotted(place: Place) -> str:
    return ".".join(str(part) for part in place if not isinstance(part, int))


def _table_name(table: Place) -> str:
    if not table:
        return "the file"
    return f"[[{_dotted(table)}]]" if isinstance(table[-1], int) else f"[{_dotted(table)}]"


def _shown(value: object) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
