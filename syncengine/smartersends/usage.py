"""Usage of an instance: which campaigns are asked for, and what conversations come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from syncengine.errors import RequestError
from syncengine.smartersends.dates import window

Format = Literal["csv", "json"]

DEFAULT_COLUMNS: Final = ("name", "subject", "send_time", "type", "html")
COLUMNS: Final = (
    *DEFAULT_COLUMNS, "from_name", "from_address", "reply_to_address", "status", "sent_mailing_id", "template_name",
    "group_name", "user_name",
)  # fmt: skip
STATUSES: Final = ("Draft", "Sent", "Canceled", "Failed", "Pending", "Scheduled", "Reviewed")
DATE_COLUMNS: Final = ("send_time", "created_at", "updated_at")
TYPES: Final = ("email", "sms")

COUNTS: Final = (
    "total_conversations", "active_conversations", "awaiting_reply", "unread_conversations", "at_risk", "stale",
    "reminders", "escalations",
)  # fmt: skip
METRICS: Final = (
    *COUNTS, "avg_first_response_minutes", "avg_messages_per_conversation", "avg_sent_messages_per_conversation",
    "avg_received_messages_per_conversation",
)  # fmt: skip
GROUP_COLUMNS: Final = (
    "group_id", "group_name", *COUNTS, "avg_first_response_minutes", "avg_messages_per_conversation",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignQuery:
    """Campaigns between two moments, both inclusive; a day is the whole day.

    Columns and statuses are normalised as the page says: any case, blanks to underscores, each once, unknown ones
    dropped (`ignored` has them). No column left means the default ones. No status left is an error: whether the service
    then sends all or none nobody says.
    """

    start: str
    end: str
    type: str | None = None
    status: str | Sequence[str] = ()
    date_column: str = "send_time"
    columns: str | Sequence[str] = ()

    def __post_init__(self) -> None:
        window(self.start, self.end)
        if self.type is not None and self.type not in TYPES:
            raise RequestError("type", f"{self.type!r} is none: email or sms", fix="leave it out for both")
        if self.date_column not in DATE_COLUMNS:
            raise RequestError("date_column", f"{self.date_column!r} is none: {', '.join(DATE_COLUMNS)}")
        if _parts(self.status) and not normalised_statuses(self.status):
            raise RequestError("status", f"none of {', '.join(_parts(self.status))} is a status: {', '.join(STATUSES)}")

    @property
    def ignored(self) -> tuple[str, ...]:
        """What of columns and statuses is unknown, and not sent."""
        columns = [part for part in _parts(self.columns) if _column(part) not in COLUMNS]
        known = {status.lower() for status in STATUSES}
        return (*columns, *(part for part in _parts(self.status) if part.lower() not in known))

    @property
    def wanted_columns(self) -> tuple[str, ...]:
        """The columns of the file."""
        return normalised_columns(self.columns)

    def fields(self, file: Format) -> dict[str, str]:
        """As they are sent, in a query or a JSON body."""
        start, end = window(self.start, self.end)
        optional = {"type": self.type, "status": ",".join(normalised_statuses(self.status))}
        return {
            "start_date": str(start),
            "end_date": str(end),
            **{name: value for name, value in optional.items() if value},
            "date_column": self.date_column,
            "format": file,
            "columns": ",".join(self.wanted_columns),
        }


def normalised_columns(columns: str | Sequence[str]) -> tuple[str, ...]:
    """Split by commas, trimmed, lower case, blanks to underscores, unknown dropped, each once; or the default."""
    known = (_column(part) for part in _parts(columns))
    return tuple(dict.fromkeys(name for name in known if name in COLUMNS)) or DEFAULT_COLUMNS


def normalised_statuses(statuses: str | Sequence[str]) -> tuple[str, ...]:
    """Trimmed, spelled as the page has them, invalid ones dropped, each once."""
    spelled = {status.lower(): status for status in STATUSES}
    return tuple(dict.fromkeys(spelled[part.lower()] for part in _parts(statuses) if part.lower() in spelled))


def _parts(written: str | Sequence[str]) -> list[str]:
    texts = [written] if isinstance(written, str) else written
    return [part.strip() for text in texts for part in text.split(",") if part.strip()]


def _column(part: str) -> str:
    return part.lower().replace(" ", "_")


@dataclass(frozen=True, slots=True)
class Export:
    """A file the service made. Its address is as good as a key: it is in no repr."""

    extension: str
    content_type: str
    s3_path: str
    expires_at: str | None
    url: str | None

    def __repr__(self) -> str:
        return f"Export({self.s3_path!r}, expires_at={self.expires_at!r})"


@dataclass(frozen=True, slots=True)
class ConversationUsage:
    """Conversations of a time, all together and by group. Averages are None where there is nothing to average.

    metrics    `METRICS` by name
    by_group   rows with `GROUP_COLUMNS`
    """

    start: str | None
    end: str | None
    metrics: Mapping[str, Any]
    by_group: Sequence[Mapping[str, Any]]
