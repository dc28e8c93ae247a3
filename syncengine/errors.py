"""Every error a person can meet, sorted by what they should do next.

    SyncEngineError
    ├── ConfigError         a setting; fix it and run again                        exit 2
    ├── SourceError         the file; fix it and run again                         exit 2
    ├── RequestError        an argument of a request, named; it was not sent       exit 2
    ├── GuardError          a brake stopped the run before anything was sent       exit 5
    ├── LockError           another run is at work                                 exit 6
    ├── DestinationError    the service
    │   ├── RefusedError        token, list or permission refused: stop at once    exit 4
    │   ├── RejectedError       this one request was refused, in the service's words   exit 3
    │   └── UnavailableError    no usable answer for too long, or budget spent     exit 7
    │       └── OutcomeUnknownError   the request may have been carried out        exit 7
    ├── StateError          the state can't be trusted or written                  exit 8
    ├── InterruptedRunError stopped by a signal, checkpoint saved                  exit 130 / 143
    └── InternalError       a bug of ours                                          exit 1

What the service says about single contacts of a sync is never an exception: it is an outcome (see `model`).
"""

from typing import ClassVar

__all__ = [
    "ConfigError",
    "DestinationError",
    "GuardError",
    "InternalError",
    "InterruptedRunError",
    "LockError",
    "OutcomeUnknownError",
    "RefusedError",
    "RejectedError",
    "RequestError",
    "SourceError",
    "StateError",
    "SyncEngineError",
    "UnavailableError",
    "other_account",
]


class SyncEngineError(Exception):
    """A failure told to a person: what happened, why (with the numbers), and a fix to paste.

    `code` is a stable kebab-case name (`syncengine explain CODE`). `sent` says what became of the
    changes: it is shown last, because it is the first thing people ask.
    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "internal"

    def __init__(
        self, what: str, *, why: str = "", fix: str = "", code: str = "", sent: str = "nothing was sent"
    ) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix
        self.code = code or self.default_code
        self.sent = sent

    def __str__(self) -> str:
        return "\n".join(part for part in (self.what, self.why, self.fix) if part)


class ConfigError(SyncEngineError):
    """A setting is wrong or missing."""

    exit_code = 2
    default_code = "config"


class SourceError(SyncEngineError):
    """The source can't be read, or isn't what the config says."""

    exit_code = 2
    default_code = "source"


class RequestError(SyncEngineError):
    """An argument of a request is wrong, so that it did not leave. `field` names it as the API does."""

    exit_code = 2
    default_code = "request"

    def __init__(self, field: str, what: str, *, fix: str = "") -> None:
        super().__init__(f"{field}: {what}", fix=fix)
        self.field = field


class GuardError(SyncEngineError):
    """A guard stopped the run before the first request."""

    exit_code = 5
    default_code = "guard"


class LockError(SyncEngineError):
    """Another run holds the state."""

    exit_code = 6
    default_code = "locked"


class DestinationError(SyncEngineError):
    """The service could not be used."""

    exit_code = 7
    default_code = "destination"


class RefusedError(DestinationError):
    """The service refused token, list or address of the API: no request can succeed until that is mended."""

    exit_code = 4
    default_code = "refused"


class RejectedError(DestinationError):
    """The service refused this request. `texts` are its own words, `fields` what it says of single fields."""

    exit_code = 3
    default_code = "rejected"

    def __init__(
        self,
        what: str,
        *,
        texts: tuple[str, ...] = (),
        fields: tuple[tuple[str, str], ...] = (),
        request_id: str | None = None,
        why: str = "",
        fix: str = "",
        code: str = "",
        sent: str = "the service refused the request",
    ) -> None:
        super().__init__(what, why=why, fix=fix, code=code, sent=sent)
        self.texts = texts
        self.fields = fields
        self.request_id = request_id


class UnavailableError(DestinationError):
    """The service gave no usable answer for too long, or a budget was spent; the run can be resumed."""

    exit_code = 7
    default_code = "unavailable"


class OutcomeUnknownError(UnavailableError):
    """A request left and no usable answer came: it may have been carried out, and is not repeated by itself."""

    default_code = "outcome-unknown"


class StateError(SyncEngineError):
    """The state directory is damaged, foreign, newer than the program, or can't be written."""

    exit_code = 8
    default_code = "state"


class InterruptedRunError(SyncEngineError):
    """A signal stopped the run; what was confirmed is recorded."""

    exit_code = 130
    default_code = "interrupted"

    def __init__(self, what: str, *, signal_number: int, why: str = "", fix: str = "", sent: str = "") -> None:
        super().__init__(what, why=why, fix=fix, sent=sent)
        self.signal_number = signal_number


class InternalError(SyncEngineError):
    """An invariant of ours broke."""


def other_account(what: str, owner: str, named: str, *, sent: str = "nothing was sent") -> StateError:
    """The error about something that belongs to the account `owner`, where the config names another one."""
    return StateError(
        f"{what} belongs to {owner}",
        why=f"the config names {named}; the same id in another account is another list",
        fix='give this account a state of its own: [state] path = ".syncengine-other"',
        code="state-other-account",
        sent=sent,
    )
