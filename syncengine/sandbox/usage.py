"""Usage of an instance of SmarterSends: campaigns and conversations, filtered, counted, and written as files."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from syncengine.sandbox.instance import Campaign, Conversation, Instance

DEFAULT_COLUMNS = ("name", "subject", "send_time", "type", "html")
COLUMNS = (
    *DEFAULT_COLUMNS, "from_name", "from_address", "reply_to_address", "status", "sent_mailing_id", "template_name",
    "group_name", "user_name",
)  # fmt: skip
STATUSES = ("Draft", "Sent", "Canceled", "Failed", "Pending", "Scheduled", "Reviewed")
DATE_COLUMNS = ("created_at", "updated_at", "send_time")

COUNTS = (
    "total_conversations", "active_conversations", "awaiting_reply", "unread_conversations", "at_risk", "stale",
    "reminders", "escalations",
)  # fmt: skip
GROUP_COLUMNS = ("group_id", "group_name", *COUNTS, "avg_first_response_minutes", "avg_messages_per_conversation")


@dataclass(frozen=True, slots=True)
class CampaignFilter:
    """Which campaigns. `statuses` None: all."""

    start: datetime | None
    end: datetime | None
    kind: str = ""
    statuses: frozenset[str] | None = None
    date_column: str = "send_time"

    def takes(self, campaign: Mapping[str, object]) -> bool:
        moment = campaign[self.date_column]
        if not isinstance(moment, datetime):
            return False  # a draft has no send_time
        after = self.start is None or moment >= self.start
        before = self.end is None or moment <= self.end
        kind = not self.kind or campaign["type"] == self.kind
        return after and before and kind and (self.statuses is None or campaign["status"] in self.statuses)


def columns(text: str) -> tuple[str, ...]:
    """As the page says: split by commas, trimmed, lower case, spaces to underscores, unknown dropped, none twice."""
    wanted = (part.strip().lower().replace(" ", "_") for part in text.split(","))
    return tuple(dict.fromkeys(name for name in wanted if name in COLUMNS)) or DEFAULT_COLUMNS


def statuses(text: str) -> frozenset[str] | None:
    """Trimmed, in any case, invalid ones ignored. None where there is no filter."""
    if not text:
        return None
    known = {status.lower(): status for status in STATUSES}
    return frozenset(known[part.strip().lower()] for part in text.split(",") if part.strip().lower() in known)


def campaign_rows(
    campaigns: Iterable[Campaign], wanted: CampaignFilter, names: Sequence[str]
) -> list[dict[str, object]]:
    return [{name: _shown(campaign[name]) for name in names} for campaign in campaigns if wanted.takes(campaign)]


def _shown(value: object) -> object:
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else value


def as_csv(names: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(["" if row[name] is None else row[name] for name in names] for row in rows)
    return text.getvalue().encode()


def conversation_usage(instance: Instance, start: datetime | None, end: datetime | None) -> dict[str, object]:
    """`range`, `metrics` and `by_group` of the page."""
    found = [
        one
        for one in instance.conversations
        if (start is None or one.created_at >= start) and (end is None or one.created_at <= end)
    ]
    groups: list[dict[str, object]] = []
    for group_id, name in instance.groups.items():
        mine = [one for one in found if one.group_id == group_id]
        if mine:
            averages = {
                "avg_first_response_minutes": _response(mine),
                "avg_messages_per_conversation": _mean([one.sent + one.received for one in mine]),
            }
            groups.append({"group_id": group_id, "group_name": name, **_counts(mine), **averages})
    metrics = {
        **_counts(found),
        "avg_first_response_minutes": _response(found),
        "avg_messages_per_conversation": _mean([one.sent + one.received for one in found]),
        "avg_sent_messages_per_conversation": _mean([one.sent for one in found]),
        "avg_received_messages_per_conversation": _mean([one.received for one in found]),
    }
    window = {name: moment.isoformat() if moment else None for name, moment in (("start", start), ("end", end))}
    return {"range": window, "metrics": metrics, "by_group": groups}


def _counts(conversations: Sequence[Conversation]) -> dict[str, object]:
    return {
        "total_conversations": len(conversations),
        "active_conversations": sum(one.active for one in conversations),
        "awaiting_reply": sum(one.awaiting_reply for one in conversations),
        "unread_conversations": sum(one.unread for one in conversations),
        "at_risk": sum(one.at_risk for one in conversations),
        "stale": sum(one.stale for one in conversations),
        "reminders": sum(one.reminders for one in conversations),
        "escalations": sum(one.escalations for one in conversations),
    }


def _response(conversations: Sequence[Conversation]) -> float | None:
    known = [one.first_response_minutes for one in conversations if one.first_response_minutes is not None]
    return _mean(known) if known else None


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / len(values), 2) if values else 0.0


def usage_csv(told: Mapping[str, object]) -> bytes:
    """Two tables in one file: metric and value, a blank row, a row for each group."""
    metrics, groups = told["metrics"], told["by_group"]
    if not isinstance(metrics, dict) or not isinstance(groups, list):
        raise TypeError("no usage")
    first = as_csv(("metric", "value"), [{"metric": name, "value": value} for name, value in metrics.items()])
    return first + b"\n" + as_csv(GROUP_COLUMNS, groups)
