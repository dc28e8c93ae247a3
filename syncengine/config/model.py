"""The shape of the config: sections, keys, defaults and what each accepts."""

import ipaddress
import re
import urllib.parse
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    field_validator,
    model_validator,
)

from syncengine.model import Consent, Mode, OnMissing, VariableType
from syncengine.normalise.mapping import Empty, OnError, OptedOut, Several, Winner

Names = Annotated[list[str], Field(min_length=1)]

VARIABLE_NAME = re.compile(r"[a-z][A-Za-z]*")


class Section(BaseModel):
    """A table of the config. Unknown keys are errors, and numbers are not taken from texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Bound(Section):
    """A limit: a share of something, or a count. Written as "5%" or as a number."""

    share: float | None = None  #: 0 to 1
    count: int | None = None

    def allows(self, number: int, total: int) -> bool:
        """Whether `number` of `total` is within the limit."""
        if self.share is not None:
            return number <= round(self.share * total, 6)  # 0.29 * 100 is 28.999999999999996
        return number <= (self.count or 0)

    def __str__(self) -> str:
        return f"{self.share * 100:g}%" if self.share is not None else str(self.count)


def read_bound(value: object) -> object:
    """A bound as written. Raises ValueError with what would be right."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError('must be a share such as "5%", or a number')  # noqa: TRY004  # pydantic wants ValueError
    if isinstance(value, int):
        if value < 0:
            raise ValueError("must not be negative")
        return Bound(count=value)
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*%\s*", value)
    if match and float(match[1]) <= 100:
        return Bound(share=float(match[1]) / 100)
    if re.fullmatch(r"\s*\d+\s*", value):
        return Bound(count=int(value))
    raise ValueError(f'must be a share such as "5%", or a number; not "{value}"')


Limit = Annotated[Bound, BeforeValidator(read_bound)]


class Account(Section):
    """[account]: whom to talk to, and how fast."""

    token: Annotated[str | None, Field(repr=False)] = None
    url: str = "https://partner.sndmart.com"
    key: Annotated[str | None, Field(repr=False)] = None  #: of the sending group: mail send, mail stats
    secret: Annotated[str | None, Field(repr=False)] = None  #: of the sending group; the token where it is left out
    send_url: str = "https://api.sndmart.com"
    api: Literal["v2"] = "v2"
    rate: Annotated[float, Field(gt=0, le=100_000, strict=False)] = 5.0
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    timeout: Annotated[float, Field(gt=0, le=600, strict=False)] = 30.0
    max_outage: Annotated[float, Field(gt=0, strict=False)] = 900.0
    proxy: Annotated[str | None, Field(repr=False)] = None  #: may hold a password

    @field_validator("rate", "timeout", "max_outage", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f'must be a number, not "{value}"')  # noqa: TRY004
        return value

    @field_validator("url", "send_url")
    @classmethod
    def _safe_url(cls, value: str) -> str:
        return safe_url(value)


class Instance(Section):
    """[smartersends]: the instance of SmarterSends to talk to."""

    url: str | None = None
    key: Annotated[str | None, Field(repr=False)] = None
    rate: Annotated[float, Field(gt=0, le=100_000, strict=False)] = 5.0
    timeout: Annotated[float, Field(gt=0, le=600, strict=False)] = 60.0
    proxy: Annotated[str | None, Field(repr=False)] = None

    @field_validator("rate", "timeout", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f'must be a number, not "{value}"')  # noqa: TRY004
        return value

    @field_validator("url")
    @classmethod
    def _safe_url(cls, value: str | None) -> str | None:
        return None if value is None else safe_url(value).removesuffix("/api")


def safe_url(value: str) -> str:
    """`value` as an origin: https, or http on loopback only; nothing but scheme, host, port and path.

    Raises ValueError.
    """
    parts = urllib.parse.urlsplit(value)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError(f'must be an address such as https://partner.sndmart.com, not "{value}"')
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold no user, query or fragment")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("must be https: over http the token would travel readable (http is for loopback only)")
    return value.rstrip("/")


def is_loopback_url(url: str) -> bool:
    """Whether an address leads to this machine, where a secret is only the sandbox's."""
    return _is_loopback(urllib.parse.urlsplit(url).hostname or "")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class State(Section):
    """[state]: where the memory of the lists is kept."""

    path: str = ".syncengine"


class SourceTable(Section):
    """source, as a table: how to read it where guessing is not enough."""

    path: str
    format: Literal["csv", "tsv", "parquet", "xlsx", "html"] | None = None
    encoding: str | None = None
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    pick: Literal["newest", "all"] = "newest"
    skip_rows: Annotated[int, Field(ge=0)] = 0
    sheet: str | None = None
    member: str | None = None
    footer: list[str] = []
    unescape_html: bool = False
    columns: Literal["same", "union"] = "same"
    file_column: str | None = None


class EmailColumn(Section):
    """columns.email, as a table."""

    column: str | Names
    several: Annotated[Several, Field(strict=False)] = Several.HOLD


class ActiveColumn(Section):
    """columns.active, as a table. `empty` says what an empty cell of the column means."""

    column: str
    invert: bool = False
    empty: bool | None = None


class Columns(Section):
    """[job.columns]: the contact's own fields."""

    email: str | Names | EmailColumn
    active: bool | str | ActiveColumn
    name: str | None = None


class VariableTable(Section):
    """A variable, as a table."""

    column: str
    type: Annotated[VariableType, Field(strict=False)] | None = None
    formats: list[str] = []
    empty: Annotated[Empty, Field(strict=False)] = Empty.CLEAR
    on_error: Annotated[OnError, Field(strict=False)] = OnError.HOLD
    phone: bool | None = None  #: None: told by its name


class Mirror(Section):
    """[job.mirror]: contacts that left the source."""

    on_missing: Annotated[OnMissing, Field(strict=False)] = OnMissing.UNSUBSCRIBE
    max_missing: Limit = Bound(share=0.05)


class Guard(Section):
    """[job.guard]: when a run stops before anything is sent, and when it ends with exit code 3."""

    max_shrink: Limit = Bound(share=0.2)
    max_held: Limit = Bound(share=0.5)
    fail_on: Limit = Bound(count=0)


class Hold(Section):
    """[[job.hold]]: rows not to send. [[job.opt_out]]: people who are not subscribed."""

    column: str
    is_: Annotated[list[str] | None, Field(alias="is")] = None
    is_not: list[str] | None = None
    like: Names | None = None
    not_empty: bool = False
    yes: bool = False

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [self.is_ is not None, self.is_not is not None, self.like is not None, self.not_empty, self.yes]
        if sum(given) != 1:
            raise ValueError(
                "needs either is = [...] or one of is_not = [...], like = [...], not_empty = true, yes = true"
            )
        return self


class Job(Section):
    """[[job]]: one source and one list."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    list_id: Annotated[str, Field(alias="list", pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    source: str | SourceTable
    mode: Annotated[Mode, Field(strict=False)] = Mode.UPSERT
    consent: Annotated[Consent, Field(strict=False)]
    key: str = "email"
    duplicates: Annotated[Winner, Field(strict=False)] = Winner.LAST
    columns: Columns
    variables: dict[str, str | VariableTable] | None = None
    mirror: Mirror = Mirror()
    guard: Guard = Guard()
    hold: list[Hold] = []
    opt_out: list[Hold] = []
    opted_out: Annotated[OptedOut, Field(strict=False)] = OptedOut.HOLD
    sentinels: list[str] = []

    @field_validator("variables")
    @classmethod
    def _names(cls, value: dict[str, str | VariableTable] | None) -> dict[str, str | VariableTable] | None:
        for name in value or {}:
            if not VARIABLE_NAME.fullmatch(name):
                raise ValueError(f"`{name}` can't be a variable: latin letters only, the first one small (firstName)")
        return value


class SomeColumns(Section):
    """[job.columns] of a job with a preset: what the preset shall not decide."""

    email: str | Names | EmailColumn | None = None
    active: bool | str | ActiveColumn | None = None
    name: str | None = None


class PresetJob(Job):
    """[[job]] with `preset`: what its config leaves out, the preset of the CRM says, by the columns of the file."""

    columns: SomeColumns = SomeColumns()  # type: ignore[assignment]  # made whole before anybody reads it
    preset: str


def _kind_of_job(written: object) -> str:
    return (
        "PresetJob" if isinstance(written, PresetJob) or (isinstance(written, dict) and "preset" in written) else "Job"
    )


AnyJob = Annotated[Annotated[PresetJob, Tag("PresetJob")] | Annotated[Job, Tag("Job")], Discriminator(_kind_of_job)]


class Config(Section):
    """The whole file."""

    account: Account = Account()
    state: State = State()
    smartersends: Instance = Instance()
    job: list[AnyJob] = []

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [job.name for job in self.job]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f'two jobs are called "{twice}"')
        return self
