"""A webhook's body → an event, or the reason why it is none. Pure.

Message events name no list: they are about the address, on every list we have.

    {"event": "hard", "email": …, "datetime": 1483010763, "id": "<message>"}
    {"event": "unsubscribed", "email": …, "datetime": 1483010763, "contactId": …, "emailListId": "<list>"}
"""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

CONTACT_EVENTS: Final = ("removed", "subscribed", "unsubscribed")
MESSAGE_EVENTS: Final = ("read", "click", "hard", "soft", "complaint", "reject", "list-unsubscribe")  #: the last: v3's
LOWERING: Final = ("unsubscribed", "list-unsubscribe", "removed", "hard", "complaint")
"""Events after which nobody may be mailed, from the mildest to the strictest: a person keeps the strictest."""

MAX_BODY: Final = 16 * 1024  #: bytes; a documented event has about 150
MIN_ADDRESS: Final = 3  #: characters
MAX_ADDRESS: Final = 320
MAX_ID: Final = 128
MAX_EVENT: Final = 1_000_000_000_000  #: Unix seconds beyond which a number is no time
EARLIEST: Final = 1_262_304_000  #: 2010-01-01: before the service existed
AHEAD: Final = 300  #: seconds the service's clock may be ahead of ours

_PART: Final = r"[^@\x00-\x20\x7f]+"
ADDRESS: Final = rf"^[ \t\r\n]*{_PART}( {_PART})*@{_PART}[ \t\r\n]*$"
"""What may be an address, as a pattern of JSON schema and of Python alike."""
DIGITS: Final = "^[0-9]{1,12}$"

_BLANKS: Final = " \t\r\n"


class BadEventError(ValueError):
    """The body is no event. Its text is for the log: it holds nothing of the body."""


class StrangeListError(BadEventError):
    """The event is about a list that is none of ours."""


@dataclass(frozen=True, slots=True)
class HookEvent:
    """One event. `list` is empty where it is about the address alone; `about` is the message's or the contact's id.

    `happened_at` is Unix seconds, never later than it was received; `digest` is the same for every copy of the event.
    """

    event: str
    address: str
    list: str
    happened_at: int
    about: str
    digest: bytes

    @property
    def lowers(self) -> bool:
        """Whether it takes consent away."""
        return self.event in LOWERING


def _seconds(value: object) -> object:
    """PHP tends to send numbers as texts, and 1483010763.0 is an integer to JSON schema; true and 1.5 are not."""
    if isinstance(value, str) and re.fullmatch(DIGITS, value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool):
        raise ValueError("is a number of seconds")  # noqa: TRY004  # pydantic wants ValueError
    return value


_Id = Annotated[str, Field(max_length=MAX_ID)]


class HookBody(BaseModel):
    """The body as documented for v2, and with the members v3 adds (`userId`, `headers`, `contactListId`)."""

    model_config = ConfigDict(strict=True, extra="ignore")

    event: str
    email: Annotated[str, Field(min_length=MIN_ADDRESS, max_length=MAX_ADDRESS)]
    datetime: Annotated[int, BeforeValidator(_seconds), Field(ge=0, le=MAX_EVENT)]
    id: _Id = ""
    contact_id: Annotated[_Id, Field(alias="contactId")] = ""
    list_id: Annotated[_Id, Field(validation_alias=AliasChoices("emailListId", "contactListId"))] = ""


def read_event(body: bytes, *, lists: Collection[str], now: float) -> HookEvent:
    """The event in `body`. `lists` are ours, `now` is Unix seconds.

    A time that can't be (in the future, before 2010) does not make a wish to leave invalid: it is taken as now.
    Raises BadEventError, StrangeListError.
    """
    try:
        told = HookBody.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise BadEventError(f"{where}: {first['type']}") from None  # what was sent stays out of the log
    return event_of(told, lists=lists, now=now)


def event_of(told: HookBody, *, lists: Collection[str], now: float) -> HookEvent:
    """The event a body tells. Raises BadEventError, StrangeListError."""
    if not re.fullmatch(ADDRESS, told.email):
        raise BadEventError("email: no address")
    address = told.email.strip(_BLANKS)
    if told.event in MESSAGE_EVENTS:
        list_id, about = "", told.id
    elif told.event in CONTACT_EVENTS:
        list_id, about = told.list_id, told.contact_id
        if list_id not in lists:
            raise StrangeListError("emailListId: none of ours")
    else:
        raise BadEventError("event: unknown")
    plausible = EARLIEST <= told.datetime <= now + AHEAD
    happened_at = min(told.datetime, int(now)) if plausible else int(now)
    facts = "\0".join((told.event, address.lower(), list_id, str(told.datetime), about))
    return HookEvent(told.event, address, list_id, happened_at, about, hashlib.sha256(facts.encode()).digest())
