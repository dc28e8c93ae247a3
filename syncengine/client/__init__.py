"""SmartSender's API v2 as a library: one method for each of its endpoints, typed values in and out.

    async with SmartSender(token=token, key=key) as service:
        hello = Message(from_email="shop@example.com", from_name="Shop", to=(Mailbox("anna@example.com"),),
                        subject="Hello", html="<p>Hello</p>")
        sent = await service.send(hello)
        async for report in service.messages([sent.message_id]):
            print(report.id, [event.event for event in report.events])

What is wrong with a request is told before it leaves (`RequestError`, naming the field). What the service refuses is a
`RejectedError` (this request) or a `RefusedError` (token, list: no request can succeed); no usable answer is an
`UnavailableError`, and an `OutcomeUnknownError` where the request may have been carried out.

All requests of a client, to both hosts, are paced together; `Retry-After` holds them all.
"""

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from syncengine.client.requests import Change, Contact, Mailbox, Message, Trigger
    from syncengine.client.results import BatchUpdated, MessageEvent, MessageReport, Sent, Triggered
    from syncengine.client.smartsender import SmartSender
    from syncengine.errors import OutcomeUnknownError, RefusedError, RejectedError, RequestError, UnavailableError
    from syncengine.model import Variable, VariableType

__all__ = [
    "BatchUpdated",
    "Change",
    "Contact",
    "Mailbox",
    "Message",
    "MessageEvent",
    "MessageReport",
    "OutcomeUnknownError",
    "RefusedError",
    "RejectedError",
    "RequestError",
    "Sent",
    "SmartSender",
    "Trigger",
    "Triggered",
    "UnavailableError",
    "Variable",
    "VariableType",
]

_HOMES: Final = {
    "syncengine.client.requests": ("Change", "Contact", "Mailbox", "Message", "Trigger"),
    "syncengine.client.results": ("BatchUpdated", "MessageEvent", "MessageReport", "Sent", "Triggered"),
    "syncengine.client.smartsender": ("SmartSender",),
    "syncengine.errors": ("OutcomeUnknownError", "RefusedError", "RejectedError", "RequestError", "UnavailableError"),
    "syncengine.model": ("Variable", "VariableType"),
}
_HOME_OF: Final = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Each name is imported when it is first used: httpx takes 0.1 s."""
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return __all__
