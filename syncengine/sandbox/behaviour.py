"""How this server decides what the API's page leaves open. Each undocumented choice is one field of `Behaviour`."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from syncengine.sandbox.addresses import Addresses, Normalisation
from syncengine.sandbox.settings import checked


class Add(StrEnum):
    """What contacts/add has stored when one of its contacts is bad."""

    ATOMIC = "atomic"  #: nothing; every bad contact is told
    PARTIAL = "partial"  #: the good ones; every bad contact is told
    STOP_AT_FIRST = "stop_at_first"  #: those before the first bad one, which alone is told
    APPLIED_BUT_REPORTED_FAILED = (
        "applied_but_reported_failed"  #: the good ones, and even without a bad one it says failed
    )


class ErrorNaming(StrEnum):
    """Which address an error about a contact carries, where the page shows one."""

    DOCUMENTED = "documented"  #: as the client sent it
    LOWERCASED = "lowercased"
    NONE = "none"  #: a general text
    WRONG_CONTACT = "wrong_contact"  #: another contact of the request; a stranger's if there is no other


class ListInErrors(StrEnum):
    """`Unable to find email … in email list listId`: the id, or the very word."""

    ID = "id"
    WORD = "word"


class BatchFault(StrEnum):
    """What an argument fault in one contact of a batch refuses: the page lists the texts, not their reach."""

    REQUEST = "request"
    CONTACT = "contact"


class Ids(StrEnum):
    """What `updated` holds."""

    ORDERED = "ordered"
    SHUFFLED = "shuffled"
    SHORT = "short"  #: the last one is missing
    LONG = "long"  #: one more, of nobody
    DUPLICATED = "duplicated"  #: the last one is the first again
    UNKNOWN = "unknown"  #: ids that mean nothing


class Update(StrEnum):
    """What an update does to the name and the variables it does not mention."""

    MERGES = "merges"
    REPLACES = "replaces"


class OmittedActive(StrEnum):
    """What an update without `active` does. The page says "default false" for updates too."""

    UNSUBSCRIBES = "unsubscribes"
    KEEPS = "keeps"


class RenameCollision(StrEnum):
    """What happens when the new address is another contact's."""

    ERROR = "error"
    MERGE = "merge"  #: the other contact keeps its id and takes over what this one has
    OVERWRITE = "overwrite"  #: the other contact is gone


class RenameOrder(StrEnum):
    """How the renames of one batch see each other."""

    SEQUENTIAL = "sequential"
    SNAPSHOT = "snapshot"  #: all addresses are looked up before any changes: swaps work
    REVERSED = "reversed"


class RemoveUnknown(StrEnum):
    """What contacts/remove does about an address the list does not have."""

    OK = "ok"
    ERROR = "error"  #: the others are removed
    REFUSED = "refused"  #: nobody is


class ExistingVariable(StrEnum):
    """What variables/add does about a variable the list has."""

    OK = "ok"  #: nothing; its type stays
    ERROR = "error"


class EmptyValue(StrEnum):
    """Whether a variable may be set to the empty string."""

    ACCEPTED = "accepted"
    ERROR = "error"


class Unknown(StrEnum):
    """What an argument, or a template, that the server does not know comes to."""

    ERROR = "error"
    IGNORED = "ignored"


class ErrorContainer(StrEnum):
    """The key that errors stand under."""

    DOCUMENTED = "documented"  #: as printed for each call
    ERROR_STACK_TITLE = "Error_stack"
    ERROR_STACK = "error_stack"
    ERRORS = "errors"
    ERROR = "error"


class ErrorShape(StrEnum):
    """Errors as an array of texts, or as one text."""

    ARRAY = "array"
    STRING = "string"


class ResultSpelling(StrEnum):
    """How `result` says yes (and no)."""

    BOOLEAN = "boolean"  #: true, false
    NUMBER = "number"  #: 1, 0
    STRING = "string"  #: "true", "false"


class ResultOnError(StrEnum):
    """Whether a failure has a `result` at all."""

    ABSENT = "absent"
    FALSE = "false"


class CampaignForm(StrEnum):
    """Which of the two forms of the campaign export SmarterSends' page shows there is."""

    BOTH = "both"
    POST = "post"  #: POST /usage/campaign/export, as in the reference
    GET = "get"  #: GET /usage/campaigns/export, as in the quick start


class RetryAfter(StrEnum):
    """What a 429 of the rate or concurrency limit says about when to come back."""

    NONE = "none"
    SECONDS = "seconds"
    DATE = "date"  #: an HTTP date, by the clock of the `Date` header


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """One possible SmartSender. The defaults are the page, read literally, and the plainest guess where it is silent.

    Raises ValueError for a number out of its range.
    """

    add: Add = Add.ATOMIC
    update: Update = Update.MERGES
    omitted_active: OmittedActive = OmittedActive.UNSUBSCRIBES
    batch_fault: BatchFault = BatchFault.REQUEST
    rename_collision: RenameCollision = RenameCollision.ERROR
    rename_order: RenameOrder = RenameOrder.SEQUENTIAL
    remove_unknown: RemoveUnknown = RemoveUnknown.OK
    existing_variable: ExistingVariable = ExistingVariable.OK
    variable_digits: bool = False  #: are `foo1` and the like tolerated as names?
    empty_value: EmptyValue = EmptyValue.ACCEPTED
    unknown_argument: Unknown = Unknown.ERROR
    unknown_template: Unknown = Unknown.IGNORED
    normalisation: Normalisation = Normalisation.NONE
    case_sensitive: bool = False  #: are `A@example.com` and `a@example.com` two contacts?

    error_naming: ErrorNaming = ErrorNaming.DOCUMENTED
    errors_merged: bool = False  #: equal texts are told once
    errors_limit: int | None = None  #: only so many errors are told
    list_in_errors: ListInErrors = ListInErrors.ID
    ids: Ids = Ids.ORDERED
    error_container: ErrorContainer = ErrorContainer.DOCUMENTED
    error_shape: ErrorShape = ErrorShape.ARRAY
    result: ResultSpelling = ResultSpelling.BOOLEAN
    result_on_error: ResultOnError = ResultOnError.ABSENT
    error_status: int = 200  #: HTTP status of a refused request
    auth_status: int = 200  #: HTTP status when the token is refused

    max_batch: int = 100  #: contacts, contacts-batch/update
    max_contacts: int | None = None  #: contacts/add, contacts/remove
    max_body: int | None = None  #: bytes; beyond it 413
    rate: float | None = None  #: requests in any second, over all calls; beyond it 429
    concurrency: int | None = None  #: requests in flight; beyond it 429
    retry_after: RetryAfter = RetryAfter.NONE
    latency: float = 0.0  #: seconds before a request is carried out
    jitter: float = 0.0  #: seconds, up to so much more
    knee: int | None = None  #: requests in flight that the server bears without slowing down
    knee_seconds: float = 0.05  #: for each request beyond the knee

    campaign_form: CampaignForm = CampaignForm.BOTH
    export_url: bool = True  #: can the storage make temporary URLs?
    export_seconds: float = 0.0  #: until an exported file is there
    export_expires: float = 3600.0  #: seconds from the export until its URL is refused

    revoke_token_at: int | None = None  #: request number, from 1: its token is revoked
    delete_list_at: int | None = None  #: request number: its list is deleted
    drop_variable_at: int | None = None  #: request number: its list loses a variable
    drop_variable: str | None = None  #: which one; the first if not given
    lying: float = 0.0  #: probability that a request is answered as if done, and is not

    def __post_init__(self) -> None:
        for name in ("latency", "jitter", "knee_seconds", "export_seconds", "export_expires"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is in seconds, not below 0; not {getattr(self, name)!r}")
        for name in ("errors_limit", "max_body", "max_contacts", "concurrency", "knee"):
            if (getattr(self, name) or 0) < 0:
                raise ValueError(f"{name} counts, from 0, or is None for no limit; not {getattr(self, name)!r}")
        if self.max_batch < 1:
            raise ValueError(f"max_batch is a number of contacts, from 1; not {self.max_batch!r}")
        if self.rate is not None and self.rate < 1:
            raise ValueError(f"rate is requests in any second, from 1, or None for no limit; not {self.rate!r}")
        if not 0 <= self.lying <= 1:
            raise ValueError(f"lying is a probability, 0 to 1; not {self.lying!r}")

    @property
    def addresses(self) -> Addresses:
        return Addresses(self.normalisation, case_sensitive=self.case_sensitive)

    def changed(self, settings: Mapping[str, object]) -> "Behaviour":
        """The same with some fields set from JSON values.

        Raises ValueError for a field there is not, and for a value that is not one of the field's.
        """
        return dataclasses.replace(self, **checked(Behaviour, settings))

    def departures(self) -> dict[str, object]:
        """The fields that are not as in the default behaviour."""
        plain = Behaviour()
        return {name: value for name, value in self.settings().items() if value != getattr(plain, name)}

    def settings(self) -> dict[str, object]:
        """Every field by name, in JSON values."""
        return dataclasses.asdict(self)
