"""What a command starts from: the config, what its options override, and what must be in place."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from syncengine.config.loading import Loaded
from syncengine.config.model import Bound, Job
from syncengine.digests import KnowsDigests
from syncengine.errors import (
    ConfigError,
)
from syncengine.model import LIST_TO_FILL_IN
from syncengine.redaction import Secret


@dataclass(frozen=True, slots=True)
class Overrides:
    """What flags say against the config. None: nothing."""

    rate: float | None = None
    concurrency: int | None = None
    max_missing: Bound | None = None
    max_shrink: Bound | None = None
    max_held: Bound | None = None
    fail_on: Bound | None = None
    max_requests: int | None = None
    until: str | None = None  #: "HH:MM", local time
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Workshop:
    """A config and the folders it names; `ahead` may know the digest of a source."""

    loaded: Loaded
    overrides: Overrides = field(default_factory=Overrides)
    show_pii: bool = False
    ahead: KnowsDigests | None = None

    @property
    def state_folder(self) -> Path:
        return (self.loaded.folder / self.loaded.config.state.path).absolute()

    def token(self) -> Secret:
        """The token, checked for its shape. Raises ConfigError."""
        if self.loaded.token_problem is not None:
            raise self.loaded.token_problem
        written = self.loaded.config.account.token
        if not written:
            raise ConfigError(
                "no token",
                why=f"[account] token is not set in {self.loaded.path.name}",
                fix='token = "${SMARTSENDER_TOKEN}" in [account], and: export SMARTSENDER_TOKEN=…    '
                "(or see it work without an account: syncengine demo)",
                code="token-missing",
            )
        token = Secret(written)
        if not token.looks_valid():
            raise ConfigError(
                "the token can't be one",
                why="a token is 8 to 512 visible ASCII characters without blanks; this one is not (it is not shown)",
                fix="copy it again from https://partner.sndmart.com/profile",
                code="token-shape",
            )
        return token

    def jobs(self, names: Sequence[str]) -> list[Job]:
        """The jobs named, or all. Raises ConfigError."""
        return self.loaded.jobs(names)


def new_run_id(now: float | None = None) -> str:
    """A UUIDv7: ids sort by the time they were made."""
    milliseconds = int((time.time() if now is None else now) * 1000) & ((1 << 48) - 1)
    number = milliseconds << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62)
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def refuse_no_list(jobs: Sequence[Job], config: str) -> None:
    """Raises ConfigError for a job whose list is still to be filled in."""
    job = next((job for job in jobs if job.list_id == LIST_TO_FILL_IN), None)
    if job is not None:
        raise ConfigError(
            f'the job "{job.name}" has no list yet',
            why=f"`list` in {config} is still {LIST_TO_FILL_IN}",
            fix="open the list in SmartSender: its id is in the address of the page",
            code="list-missing",
        )
