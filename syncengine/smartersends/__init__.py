"""SmarterSends as a library: usage and events of an instance, typed values in and out.

    async with SmarterSends(url="https://you.smartersends.com", key=key) as instance:
        usage = await instance.conversations(start="2026-01-01", end="2026-01-31")
        with open("campaigns.csv", "wb") as file:
            await instance.export_campaigns(CampaignQuery(start="2025-01-01", end="2025-12-31"), file.write)

The bearer key goes to the instance only: exported files are fetched from their signed address without it. Errors are
those of `syncengine.client`.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from syncengine.smartersends.client import SmarterSends
    from syncengine.smartersends.events import Event, EventChange, EventDraft, Group
    from syncengine.smartersends.usage import CampaignQuery, ConversationUsage, Export

__all__ = [
    "CampaignQuery",
    "ConversationUsage",
    "Event",
    "EventChange",
    "EventDraft",
    "Export",
    "Group",
    "SmarterSends",
]

_HOMES: Final = {
    "syncengine.smartersends.client": ("SmarterSends",),
    "syncengine.smartersends.events": ("Event", "EventChange", "EventDraft", "Group"),
    "syncengine.smartersends.usage": ("CampaignQuery", "ConversationUsage", "Export"),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Each name is imported when it is first used: httpx takes 0.1 s."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
