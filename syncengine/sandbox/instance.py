"""An instance of SmarterSends: campaigns, conversations, events, and the storage its exports go to."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random

DEFAULT_INSTANCE_KEY = "sandbox-instance-key"

Campaign = dict[str, object]

_STATUSES = ("Draft", "Sent", "Canceled", "Failed", "Pending", "Scheduled", "Reviewed")
_FIRST = datetime(2025, 1, 1, 9, tzinfo=UTC)


@dataclass(slots=True)
class Conversation:
    """A two-way conversation, as far as usage counts it."""

    created_at: datetime
    group_id: int
    active: bool = False
    awaiting_reply: bool = False
    unread: bool = False
    at_risk: bool = False
    stale: bool = False
    reminders: int = 0
    escalations: int = 0
    first_response_minutes: float | None = None
    sent: int = 0
    received: int = 0


@dataclass(slots=True)
class Stored:
    """A file in the storage: there from `ready`, its URL good until `expires` (times of the sandbox's clock)."""

    content: bytes
    content_type: str
    signature: str
    ready: float
    expires: float


@cache
def _campaigns(count: int) -> tuple[Campaign, ...]:
    """Made once: a sandbox looks at them, and changes none."""
    return tuple(_sample_of_campaigns(count))


def _sample_of_campaigns(count: int) -> Iterator[Campaign]:
    chance = Random(1)  # noqa: S311  # a sample, the same for everybody
    for number in range(count):
        sent = _FIRST + timedelta(days=6 * number, minutes=chance.randrange(600))
        status = _STATUSES[number % len(_STATUSES)]
        yield {
            "name": f"Campaign {number + 1}",
            "subject": f"News No. {number + 1}" + (', "quoted"\nand broken' if number % 20 == 3 else ""),
            "send_time": sent if status != "Draft" else None,
            "created_at": sent - timedelta(days=2),
            "updated_at": sent - timedelta(days=1),
            "type": "sms" if number % 5 == 4 else "email",
            "html": f"<p>Hello, No. {number + 1}</p>",
            "from_name": "Shop",
            "from_address": "shop@example.com",
            "reply_to_address": "help@example.com",
            "status": status,
            "sent_mailing_id": 1000 + number if status == "Sent" else None,
            "template_name": "Plain",
            "group_name": "Marketing",
            "user_name": "anna",
        }


@cache
def _conversations(count: int) -> tuple[Conversation, ...]:
    return tuple(_sample_of_conversations(count))


def _sample_of_conversations(count: int) -> Iterator[Conversation]:
    chance = Random(2)  # noqa: S311  # likewise
    for number in range(count):
        yield Conversation(
            _FIRST + timedelta(days=4 * number),
            (5, 12, 7)[number % 3],
            active=chance.random() < 0.6,
            awaiting_reply=chance.random() < 0.3,
            unread=chance.random() < 0.2,
            at_risk=chance.random() < 0.1,
            stale=chance.random() < 0.1,
            reminders=chance.randrange(3),
            escalations=chance.randrange(2),
            first_response_minutes=None if number % 4 == 0 else round(chance.uniform(1, 90), 2),
            sent=chance.randrange(1, 9),
            received=chance.randrange(1, 9),
        )


@dataclass(slots=True)
class Instance:
    """What an instance holds. Campaigns and conversations are a sample, the same in every sandbox.

    keys           accepted in `Authorization: Bearer`
    with_bearer    downloads that came with a bearer key: the storage is somebody else's, and must not see it
    """

    keys: set[str] = field(default_factory=lambda: {DEFAULT_INSTANCE_KEY})
    groups: dict[int, str] = field(default_factory=lambda: {5: "Marketing", 12: "Sales, North", 7: "=Support"})
    campaigns: list[Campaign] = field(default_factory=lambda: list(_campaigns(60)))
    conversations: list[Conversation] = field(default_factory=lambda: list(_conversations(90)))
    events: dict[int, dict[str, object]] = field(default_factory=dict)
    storage: dict[str, Stored] = field(default_factory=dict)
    with_bearer: int = 0
    events_made: int = 0

    def store(self, name: str, content: bytes, content_type: str, *, ready: float, expires: float) -> Stored:
        """A new file, with the signature its URL carries."""
        stored = Stored(content, content_type, secrets.token_hex(16), ready, expires)
        self.storage[name] = stored
        return stored
