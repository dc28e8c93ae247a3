"""Mail that left: single messages and triggered ones, and what happened to each.

Whoever has no real mailboxes still wants to see bounces: an address whose local part begins with `hard` or `soft`
bounces that way, and every other one is delivered, half a second after it was sent.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_UNDER_WAY = 0.5  #: seconds from sent to delivered, or bounced


class MessageAct(StrEnum):
    """What may happen to a message, as the page's statistics and webhooks name it."""

    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    CLICK = "click"
    HARD = "hard"
    SOFT = "soft"
    COMPLAINT = "complaint"
    REJECT = "reject"


TOLD = tuple(act for act in MessageAct if act not in {MessageAct.SENT, MessageAct.DELIVERED})
"""What webhooks tell of messages."""


class Message(NamedTuple):
    """A mail that was sent. `template_id` is empty for one that came by /send, `list_id` likewise."""

    id: str
    request: int
    list_id: str
    email: str
    template_id: str
    name: str = ""
    from_email: str = ""
    from_name: str = ""
    subject: str = ""
    html: str = ""
    text: str = ""
    headers: Mapping[str, str] = _NO_HEADERS
    tags: tuple[str, ...] = ()


class Happening(NamedTuple):
    """Something that happened to a message, at a time of the sandbox's clock."""

    act: MessageAct
    at: float


class Outbox:
    """Messages in the order they left, and by id."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.by_id: dict[str, Message] = {}
        self._happenings: dict[str, list[Happening]] = {}

    def post(self, message: Message, *, at: float) -> None:
        """A message leaves, and arrives or bounces by itself."""
        self.messages.append(message)
        self.by_id[message.id] = message
        local = message.email.partition("@")[0].lower()
        bounce = next((act for act in (MessageAct.HARD, MessageAct.SOFT) if local.startswith(act)), None)
        self._happenings[message.id] = [
            Happening(MessageAct.SENT, at),
            Happening(bounce or MessageAct.DELIVERED, at + _UNDER_WAY),
        ]

    def happen(self, message_id: str, act: MessageAct, *, at: float) -> Message:
        """The recipient, or their server, does something. Raises KeyError for an unknown message."""
        self._happenings[message_id].append(Happening(act, at))
        return self.by_id[message_id]

    def happenings(self, message_id: str) -> list[Happening]:
        return list(self._happenings[message_id])
