"""The receiver in the words of OpenAPI 3.1: for whoever sets up the proxy in front of it, and for the fuzzer."""

from collections.abc import Collection, Sequence
from typing import Any, Final

from syncengine.webhooks.events import (
    ADDRESS,
    CONTACT_EVENTS,
    DIGITS,
    MAX_ADDRESS,
    MAX_BODY,
    MAX_EVENT,
    MAX_ID,
    MESSAGE_EVENTS,
    MIN_ADDRESS,
)

_ANSWERS: Final = {
    "200": "The event is on disk.",
    "400": "The body is no event.",
    "404": "Nothing is here, or the event is about a list that is none of ours.",
    "405": "Only POST.",
    "408": "The body did not arrive within 5 seconds.",
    "413": f"The body is larger than {MAX_BODY} bytes.",
    "415": "The body is not uncompressed JSON.",
    "429": "More events than the receiver takes; again in a second.",
    "503": "The event is not known to be on disk; again.",
}


def openapi(path: str, lists: Collection[str]) -> dict[str, Any]:
    """The description of a receiver that answers on `path` for these lists."""
    text = {"text/plain": {"schema": {"type": "string"}}}
    body = {"oneOf": [_event(MESSAGE_EVENTS, lists=None), _event(CONTACT_EVENTS, lists=lists)]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "syncengine webhook receiver", "version": "1"},
        "paths": {
            path: {
                "post": {
                    "operationId": "receive",
                    "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
                    "responses": {status: {"description": what, "content": text} for status, what in _ANSWERS.items()},
                }
            }
        },
    }


def _event(kinds: Sequence[str], lists: Collection[str] | None) -> dict[str, Any]:
    """The schema of a message's event, or of a contact's on one of `lists`."""
    about = {"type": "string", "maxLength": MAX_ID}
    seconds = {"type": "integer", "minimum": 0, "maximum": MAX_EVENT, "description": "Unix time"}
    members = {
        "event": {"enum": list(kinds)},
        "email": {"type": "string", "minLength": MIN_ADDRESS, "maxLength": MAX_ADDRESS, "pattern": ADDRESS},
        "datetime": {"anyOf": [seconds, {"type": "string", "pattern": DIGITS}]},
        "id": about,
        "contactId": about,
        "emailListId": about if lists is None else {"enum": sorted(lists)},
    }
    required = ["event", "email", "datetime", *([] if lists is None else ["emailListId"])]
    return {"type": "object", "properties": members, "required": required}
