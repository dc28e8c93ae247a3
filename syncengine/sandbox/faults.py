"""Scripted faults: what goes wrong, with which request, and whether that request was carried out.

A fault is a value. Effects that stand in place of the answer (`Status`, `Html`, `RawBody`, `Redirect`, `Drop`, `Hang`)
come `before_apply`, and then the request is not carried out, or `after_apply`. Effects that change the answer
(`ContentType`, `Truncate`, `Drip`) and `DuplicateApply` work on the true answer; `LateApply` gives none at all.
Faults that meet in one request all take effect, and the first in place of the answer wins.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from random import Random

from syncengine.sandbox.contract import Endpoint
from syncengine.sandbox.settings import checked


@dataclass(frozen=True, slots=True)
class Status:
    """An HTTP status; the body is a proxy's HTML page unless given."""

    code: int
    retry_after: str | None = None  #: the header's text, whatever it is
    body: str | None = None
    content_type: str = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Html:
    """A maintenance page, with status 200."""

    title: str = "We will be back soon"


@dataclass(frozen=True, slots=True)
class RawBody:
    """Any bytes. From JSON, the body is text."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    encoding: str | None = None  #: Content-Encoding: gzip, say, if that is what the bytes are, or not


@dataclass(frozen=True, slots=True)
class Redirect:
    url: str
    status: int = 307


@dataclass(frozen=True, slots=True)
class Drop:
    """The connection closes without an answer."""


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer, until the client leaves."""


@dataclass(frozen=True, slots=True)
class LateApply:
    """No answer, and the request is carried out after so many seconds, whether or not the client is still there."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Delay:
    """So many seconds pass before the request is carried out, or (`after_apply`) before it is answered."""

    seconds: float


@dataclass(frozen=True, slots=True)
class DuplicateApply:
    """A proxy repeats the request: it is carried out twice, and the second answer is the one that arrives."""


@dataclass(frozen=True, slots=True)
class ContentType:
    """The true answer under another content type; None leaves the header out."""

    value: str | None = "text/plain"


@dataclass(frozen=True, slots=True)
class Truncate:
    """The true answer breaks off: its Content-Length is right, its last `missing` bytes never come."""

    missing: int = 1


@dataclass(frozen=True, slots=True)
class Drip:
    """The true answer, `size` bytes at a time, `seconds` apart."""

    seconds: float
    size: int = 1


#: Effects in place of the answer.
Instead = Status | Html | RawBody | Redirect | Drop | Hang
Effect = Instead | LateApply | Delay | DuplicateApply | ContentType | Truncate | Drip


class When(StrEnum):
    BEFORE_APPLY = "before_apply"
    AFTER_APPLY = "after_apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """`what` happens to requests for `endpoint` (None: to any), from the `nth` one on (1 = the first), `times` times
    (None: for ever), each time with `probability`.

    Raises ValueError for numbers out of range.
    """

    what: Effect
    endpoint: Endpoint | None = None
    nth: int = 1
    times: int | None = 1
    probability: float = 1.0
    when: When = When.BEFORE_APPLY

    def __post_init__(self) -> None:
        if self.nth < 1:
            raise ValueError(f"nth counts requests from 1; not {self.nth!r}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times is how often, from 1, or None for ever; not {self.times!r}")
        if not 0 < self.probability <= 1:
            raise ValueError(f"probability is above 0, up to 1; not {self.probability!r}")

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> "Fault":
        """`{"what": "status", "code": 503, "endpoint": "contacts/add"}`: the effect's fields beside the fault's.

        Raises ValueError for what is no such fault.
        """
        values = dict(values)
        name = values.pop("what", None)
        effect = EFFECTS.get(name) if isinstance(name, str) else None
        if effect is None:
            raise ValueError(f"what is one of {', '.join(EFFECTS)}; not {name!r}")
        own = {key: values.pop(key) for key in list(values) if key in effect.__dataclass_fields__}
        try:
            what = effect(**checked(effect, own))
        except TypeError as error:
            raise ValueError(f"{name}: {error}") from error
        return cls(what=what, **checked(cls, values))

    def as_json(self) -> dict[str, object]:
        """What `from_json` takes."""
        effect = {name: _plain(value) for name, value in asdict(self.what).items()}
        rest = {name: getattr(self, name) for name in ("endpoint", "nth", "times", "probability", "when")}
        return {"what": effect_name(self.what), **effect, **rest}


def _plain(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class FaultScript:
    """The faults of a sandbox and how far they have got. Chance is drawn only for a probability below 1."""

    def __init__(self, faults: tuple[Fault, ...] = ()) -> None:
        self._script = [_Scripted(fault) for fault in faults]

    def add(self, *faults: Fault) -> None:
        """Counting starts now: `nth=1` is the next request."""
        self._script.extend(_Scripted(fault) for fault in faults)

    def clear(self) -> None:
        self._script.clear()

    def __iter__(self) -> Iterator[Fault]:
        return (scripted.fault for scripted in self._script)

    def __len__(self) -> int:
        return len(self._script)

    def due(self, endpoint: Endpoint, chance: Random) -> list[Fault]:
        """The faults of the next request, for `endpoint`; they count as having happened."""
        return [scripted.fault for scripted in self._script if scripted.is_due(endpoint, chance)]


class _Scripted:
    __slots__ = ("fault", "happened", "seen")

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.happened = 0

    def is_due(self, endpoint: Endpoint, chance: Random) -> bool:
        fault = self.fault
        if fault.endpoint is not None and fault.endpoint is not endpoint:
            return False
        self.seen += 1
        if self.seen < fault.nth or (fault.times is not None and self.happened >= fault.times):
            return False
        if fault.probability < 1 and chance.random() >= fault.probability:
            return False
        self.happened += 1
        return True


#: Names of the effects in JSON.
EFFECTS: dict[str, type[Effect]] = {
    "status": Status,
    "html": Html,
    "raw_body": RawBody,
    "redirect": Redirect,
    "drop": Drop,
    "hang": Hang,
    "late_apply": LateApply,
    "delay": Delay,
    "duplicate_apply": DuplicateApply,
    "content_type": ContentType,
    "truncate": Truncate,
    "drip": Drip,
}

_NAMES = {effect: name for name, effect in EFFECTS.items()}


def effect_name(effect: Effect) -> str:
    """As in JSON, and in the log."""
    return _NAMES[type(effect)]
