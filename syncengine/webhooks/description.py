"""The receiver in the words of OpenAPI 3.1: for whoever sets up the proxy in front of it, and for the fuzzer."""

from typing import Any, Final

from syncengine.webhooks.events import CONTACT_EVENTS, MAX_BODY, MESSAGE_EVENTS, HookBody

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


def openapi(path: str) -> dict[str, Any]:
    """The description of a receiver that answers on `path`."""
    schema = HookBody.model_json_schema(mode="validation")
    members = dict(schema["properties"])
    members["emailListId"] = {"type": "string", "maxLength": 128}
    members["event"] = {"type": "string", "enum": [*MESSAGE_EVENTS, *CONTACT_EVENTS]}
    text = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "syncengine webhook receiver", "version": "1"},
        "paths": {
            path: {
                "post": {
                    "operationId": "receive",
                    "requestBody": {
                        "required": True,
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "object",
                                    "properties": members,
                                    "required": ["event", "email", "datetime"],
                                }
                            }
                        },
                    },
                    "responses": {status: {"description": what, "content": text} for status, what in _ANSWERS.items()},
                }
            }
        },
    }
