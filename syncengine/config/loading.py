"""From a file to a checked `Config`: read, filled in from the environment, every fault named with its line."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from syncengine.config.exposure import SECRETS, refuse_exposed
from syncengine.config.faults import Place, dotted, not_toml, told
from syncengine.config.finding import PREFIX
from syncengine.config.model import (
    Account,
    Config,
    Instance,
    Job,
    is_loopback_url,
)
from syncengine.config.toml_lines import locate
from syncengine.errors import ConfigError
from syncengine.model import LIST_TO_FILL_IN, Mode, OnMissing

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_NUMBERS: Final = frozenset({"rate", "concurrency", "timeout", "max_outage"})


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


def load_config(path: Path, environment: Mapping[str, str] | None = None) -> Loaded:
    """Read and check the config at `path`. Raises ConfigError that names file, line and key of every fault."""
    environment = os.environ if environment is None else environment
    text = _text(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise not_toml(path, text, error) from error
    _refuse_unknown_variables(environment)
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
        raise told(path, text, error, overridden) from None
    _refuse_shared_mirror(config, path)
    for place in SECRETS:
        problem = None if place in overridden else _exposed(content, config, path, place)
        if problem is not None:
            problems.setdefault(".".join(place), problem)
    return Loaded(config, path.resolve(), problems)


def _refuse_shared_mirror(config: Config, path: Path) -> None:
    """Raises ConfigError for a mirror whose list another job feeds: that one's people would seem to have left."""
    for job in config.job:
        takes_off = job.mode is Mode.MIRROR and job.mirror.on_missing is not OnMissing.KEEP
        other = next((one for one in config.job if one is not job and one.list_id == job.list_id), None)
        if takes_off and other is not None and job.list_id != LIST_TO_FILL_IN:
            raise ConfigError(
                f'{path.name}: the jobs "{job.name}" and "{other.name}" share the list {job.list_id}, and '
                f'"{job.name}" mirrors it',
                why=f'whoever only "{other.name}" has is missing in the source of "{job.name}", and would be taken off',
                fix='one job for both: source = { path = "exports/*.csv", pick = "all" }    '
                'or nobody taken off: mirror = { on_missing = "keep" }',
                code="mirror-shared",
            )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file", fix="syncengine init contacts.csv writes one", code="config-missing"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}: can't be read",
            why=str(error),
            fix="name a text file in UTF-8 that you may read: -c syncengine.toml",
            code="config-unreadable",
        ) from error


# -- filling in ---------------------------------------------------------------------------------------------------


_SECTIONS: Final[Mapping[str, Sequence[str]]] = {
    "account": tuple(Account.model_fields),
    "state": ("path",),
    "smartersends": tuple(Instance.model_fields),
}
"""What the environment may set. Other variables that begin with SYNCENGINE_ are flags of verbs."""


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    """Raises ConfigError for `SYNCENGINE_ACCOUNT_RAET`: a setting that does not count is worse than none."""
    for section in ("account", "smartersends"):  # a verb is called `state`, and its flags may be set, too
        known = [f"{PREFIX}{section}_{key}".upper() for key in _SECTIONS[section]]
        for name in environment:
            if name.startswith(f"{PREFIX}{section}_".upper()) and name.replace("__", "_") not in known:
                near = next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.8)), None)
                raise ConfigError(
                    f"the environment sets {name}, which nothing reads" + (f"; did you mean {near}?" if near else ""),
                    why=f"there are: {', '.join(known)}",
                    fix=f"unset {name}",
                    code="config-environment",
                )


def _with_environment(
    content: dict[str, Any], environment: Mapping[str, str]
) -> tuple[dict[str, Any], dict[Place, str]]:
    """`SYNCENGINE_ACCOUNT_RATE=10` and its like over the file, in the sections for that; and which counted where."""
    merged = dict(content)
    overridden: dict[Place, str] = {}
    for section, keys in _SECTIONS.items():
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
                f"{self._place(where)}: ${{file:{name}}} can't be read",
                why=str(error),
                fix=f"make the file {path}, readable for you alone, or name another",
                code="config-variable",
            ) from error

    def _place(self, where: Place) -> str:
        line = locate(self.source, where)
        return f"{self.path.name}{f':{line}' if line else ''}: {dotted(where)}"


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
