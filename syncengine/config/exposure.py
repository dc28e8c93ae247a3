"""Whether others on this machine can read a token: a file that holds one must be its owner's alone."""

import os
import stat
from pathlib import Path
from typing import Final

from syncengine.errors import ConfigError

SECRETS: Final = (("account", "token"), ("account", "key"), ("account", "secret"), ("smartersends", "key"))
"""Places of a config that hold a secret."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def refuse_exposed(path: Path, what: str) -> None:
    """Raises ConfigError if `path`, which holds a token, can be read by more than its owner. `what` names it."""
    if os.name != "posix" or not path.stat().st_mode & _OTHERS:
        return
    raise ConfigError(
        f"{what} holds a token, and others can read it",
        why=f"its mode is {stat.S_IMODE(path.stat().st_mode):04o}",
        fix=f'chmod 600 {path}    or keep the token out of it: token = "${{SMARTSENDER_TOKEN}}"',
        code="token-exposed",
    )
