"""What is asked of API v2, as values. Each checks itself when it is made; RequestError names the field as the API does.

Sources: the vendor's page (smartsender.md §1.2): one recipient a message, tags of at most 50 characters that do not
begin with `_`, variables in latin lowerCamelCase, `active` that means *unsubscribed* where it is left out and is
therefore never left out here.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from syncengine.errors import RequestError

BATCH_SIZE: Final = 100  #: documented for contacts-batch/update and message; kept for add and remove, which state none
MAX_TAG: Final = 50  #: characters
MAX_TAGS: Final = 100  #: the service stores no more than the first hundred

# Nothing here takes more than a look; whether an address exists the service knows.
_ADDRESS: Final = re.compile(r"[^\s@<>\",;:()\[\]\\]+@[^\s@<>\",;:()\[\]\\]+\.[^\s@<>\",;:()\[\]\\]+")
_VARIABLE: Final = re.compile(r"[a-z][A-Za-z]*")
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")  # RFC 5322 §2.2 leaves out what a token may not hold
_LINE_BREAKING: Final = re.compile(r"[\x00-\x1f\x7f\u2028\u2029]")
_NO_TEXT: Final = re.compile(r"[\ud800-\udfff\x00]")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An address, and the name to show for it."""

    email: str
    name: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"email": self.email} if self.name is None else {"email": self.email, "name": self.name}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message for `send`. `to` holds exactly one recipient: the API takes no more.

    `from_name` is required: the page marks it both ways, and the one error it shows is about its absence.
    """

    from_email: str
    from_name: str
    to: tuple[Mailbox, ...]
    subject: str
    html: str
    text: str | None = None
    reply_to: tuple[Mailbox, ...] = ()
    tags: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        address("message.from_email", self.from_email)
        line("message.from_name", self.from_name)
        if len(self.to) != 1:
            raise RequestError(
                "message.to",
                f"exactly one recipient a message, not {len(self.to)}",
                fix="send it once for each of them",
            )
        for name, boxes in (("to", self.to), ("reply_to", self.reply_to)):
            for index, box in enumerate(boxes):
                address(f"message.{name}[{index}].email", box.email)
                if box.name is not None:
                    line(f"message.{name}[{index}].name", box.name)
        line("message.subject", self.subject)
        body("message.html", self.html)
        if self.text is not None:
            body("message.text", self.text)
        tags("message.tags", self.tags)
        for name, value in self.headers.items():
            if not _HEADER.fullmatch(name):
                raise RequestError(f"message.headers.{name}", "is no name of a header", fix='such as "X-Campaign"')
            line(f"message.headers.{name}", value)

    def to_json(self) -> dict[str, Any]:
        optional = {
            "text": self.text,
            "reply_to": [box.to_json() for box in self.reply_to],
            "tags": list(self.tags),
            "headers": dict(self.headers),
        }
        return {
            "from_email": self.from_email,
            "from_name": self.from_name,
            "subject": self.subject,
            "to": [box.to_json() for box in self.to],
            "html": self.html,
            **{name: value for name, value in optional.items() if value},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """A contact to be added. `active` has no default: the API's is *unsubscribed*."""

    email: str
    active: bool
    name: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def check(self, where: str) -> None:
        """Raises RequestError that names the field below `where`."""
        address(f"{where}.email", self.email)
        _flag(f"{where}.active", self.active)
        _name(f"{where}.name", self.name)
        variables(f"{where}.variables", self.variables)

    def to_json(self) -> dict[str, Any]:
        return {"email": self.email, **_described(self.name, self.active, self.variables)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a contact of a list is to be. `contact` is the address the list has, `email` a new one where it changes.

    `active` has no default: left out, the API may unsubscribe.
    """

    contact: str
    active: bool
    email: str | None = None
    name: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)

    def check(self, where: str) -> None:
        """Raises RequestError that names the field below `where`; `where` may be empty."""
        prefix = f"{where}." if where else ""
        address(f"{prefix}contact", self.contact)
        if self.email is not None:
            address(f"{prefix}parameters.email", self.email)
        _flag(f"{prefix}parameters.active", self.active)
        _name(f"{prefix}parameters.name", self.name)
        variables(f"{prefix}parameters.variables", self.variables)

    def to_json(self) -> dict[str, Any]:
        renamed = {} if self.email is None else {"email": self.email}
        return {
            "contact": self.contact,
            "parameters": {**renamed, **_described(self.name, self.active, self.variables)},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """A triggered mail: a template of the account, for one contact of a list."""

    list_id: str
    contact: str
    template_id: str
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        identifier("emailListId", self.list_id)
        address("contact", self.contact)
        identifier("templateId", self.template_id)
        tags("tags", self.tags)

    def to_json(self) -> dict[str, Any]:
        told = {"emailListId": self.list_id, "contact": self.contact, "templateId": self.template_id}
        return told | ({"tags": list(self.tags)} if self.tags else {})


# What a field may be --------------------------------------------------------------------------------------------------


def address(where: str, value: str) -> None:
    """Raises RequestError for what can't be an address."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value) or len(value) > 254:
        shown = "it is empty" if not value else "it is not (and not shown, for it may be somebody's)"
        raise RequestError(where, f"must be an address such as anna@example.com; {shown}")


def identifier(where: str, value: str) -> None:
    """Raises RequestError for what can't be the id of a list, template or message."""
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise RequestError(
            where,
            f"must be an id such as 5537ab2a08d241dc69326b19, not {value!r}",
            fix="copy it from SmartSender's page",
        )


def line(where: str, value: str) -> None:
    """Raises RequestError for a text that is empty or has line breaks: in a header they would begin another one."""
    if not isinstance(value, str) or not value.strip():
        raise RequestError(where, "this field is required")
    if _LINE_BREAKING.search(value) or _NO_TEXT.search(value):
        raise RequestError(where, "must be one line, without control characters")


def body(where: str, value: str) -> None:
    """Raises RequestError for a body that is empty or no text."""
    if not isinstance(value, str) or not value.strip():
        raise RequestError(where, "this field is required")
    if _NO_TEXT.search(value):
        raise RequestError(where, "holds what is no text: a NUL, or half of a surrogate pair")


def tags(where: str, values: Sequence[str]) -> None:
    """Raises RequestError that names the tag."""
    if len(values) > MAX_TAGS:
        raise RequestError(where, f"at most {MAX_TAGS} tags, not {len(values)}")
    for index, tag in enumerate(values):
        here = f"{where}[{index}]"
        line(here, tag)
        if len(tag) > MAX_TAG:
            raise RequestError(here, f"a tag has at most {MAX_TAG} characters; this one has {len(tag)}")
        if tag.startswith("_"):
            raise RequestError(here, f"{tag!r} begins with an underscore, which the service keeps for itself")


def variables(where: str, values: Mapping[str, str]) -> None:
    """Raises RequestError that names the variable."""
    for name, value in values.items():
        variable_name(f"{where}.{name}", name)
        if not isinstance(value, str) or _NO_TEXT.search(value):
            raise RequestError(f"{where}.{name}", f"must be a text, not {type(value).__name__}")


def variable_name(where: str, name: str) -> None:
    """Raises RequestError for a name that the API does not take."""
    if not _VARIABLE.fullmatch(name):
        raise RequestError(
            where,
            f"{name!r} must be in lowerCamelCase: latin letters only, the first one small",
            fix="such as firstName",
        )


def crowd(where: str, values: Sequence[object], addresses: Sequence[str]) -> None:
    """Raises RequestError for no elements, more than a request may have, or one contact twice."""
    if not values:
        raise RequestError(where, "at least one is needed")
    if len(values) > BATCH_SIZE:
        raise RequestError(where, f"at most {BATCH_SIZE} a request, not {len(values)}", fix="split them")
    first: dict[str, int] = {}
    for index, one in enumerate(addresses):
        if first.setdefault(one.strip().lower(), index) != index:
            raise RequestError(
                f"{where}[{index}]",
                f"is the same contact as {where}[{first[one.strip().lower()]}]",
                fix="keep one of them",
            )


def _flag(where: str, value: bool) -> None:  # noqa: FBT001  # it is the value that is looked at
    if not isinstance(value, bool):
        raise RequestError(where, f"must be true or false, not {value!r}")


def _name(where: str, value: str | None) -> None:
    if value is not None and (not isinstance(value, str) or _LINE_BREAKING.search(value) or _NO_TEXT.search(value)):
        raise RequestError(where, "must be one line, without control characters")


def _described(name: str | None, active: bool, values: Mapping[str, str]) -> dict[str, Any]:  # noqa: FBT001
    """`name`, `active` and `variables` as add and update have them in common; `active` is never left out."""
    named = {} if name is None else {"name": name}
    told = [{"name": variable, "value": value} for variable, value in values.items()]
    return {**named, "active": active, **({"variables": told} if told else {})}
