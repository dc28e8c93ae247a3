"""The path SmartSender is told to call: the only thing that tells it from anybody else.

webhooks/hook.json    0600: {"current": "<43 characters>", "previous": "…" or null, "rotated_at": …}

Two are valid at once after a rotation, so that the control panel can be changed without losing an event.
"""

import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from syncengine.durable import make_private_folder, write_durably
from syncengine.errors import StateError

PREFIX: Final = "/hook/"
PATH_FILE: Final = "hook.json"
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 random bytes in base64


@dataclass(frozen=True, slots=True)
class HookPaths:
    """The paths that are answered: the current one, and the one before it until it is retired."""

    current: str = field(repr=False)
    previous: str | None = field(default=None, repr=False)
    rotated_at: str = ""

    def opens(self, path: str) -> bool:
        """Whether `path` is one of ours. Takes the same time for every path of the same length."""
        asked = _digest(path)
        known = [_digest(self.current), _digest(self.previous or _NOBODYS)]
        found = [hmac.compare_digest(asked, one) for one in known]
        return found[0] | (found[1] & (self.previous is not None))


_NOBODYS: Final = f"{PREFIX}{secrets.token_urlsafe(32)}"


def _digest(path: str) -> bytes:
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).digest()


def read_paths(folder: Path) -> HookPaths | None:
    """The paths kept in `folder`, or None if none were ever made. Raises StateError if the file can't be one."""
    file = folder / PATH_FILE
    if not file.exists():
        return None
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        words = [_checked(word) for word in (kept["current"], kept["previous"]) if word is not None]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StateError(
            f"{file}: the webhook's path can't be read",
            why=f"{type(error).__name__}: {error}",
            fix="make a new one and put it into SmartSender's panel: syncengine webhooks rotate",
            code="hook-path",
        ) from error
    paths = [PREFIX + word for word in words]
    return HookPaths(paths[0], paths[1] if len(paths) > 1 else None, str(kept.get("rotated_at", "")))


def _checked(word: str) -> str:
    if not _SECRET.fullmatch(word):
        raise ValueError("a secret has 43 characters of A-Z a-z 0-9 _ -")
    return word


def make_paths(folder: Path, now: datetime) -> HookPaths:
    """The paths kept in `folder`; a first one is made where there is none."""
    return read_paths(folder) or _keep(folder, secrets.token_urlsafe(32), None, now)


def rotate(folder: Path, now: datetime) -> HookPaths:
    """A new path beside the current one, which stays valid; one that was retired before is gone."""
    try:
        before = read_paths(folder)
    except StateError:
        before = None
    return _keep(folder, secrets.token_urlsafe(32), before.current.removeprefix(PREFIX) if before else None, now)


def retire(folder: Path, now: datetime) -> HookPaths:
    """Only the current path from now on."""
    return _keep(folder, make_paths(folder, now).current.removeprefix(PREFIX), None, now)


def _keep(folder: Path, current: str, previous: str | None, now: datetime) -> HookPaths:
    make_private_folder(folder)
    kept = {"current": current, "previous": previous, "rotated_at": now.isoformat(timespec="seconds")}
    write_durably(folder / PATH_FILE, json.dumps(kept).encode())
    return HookPaths(PREFIX + current, PREFIX + previous if previous else None, kept["rotated_at"] or "")
