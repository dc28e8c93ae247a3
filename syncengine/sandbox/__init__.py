"""A stand-in for the SmartSender API v2, to try things on: lists in memory, every undocumented choice a setting.

Written from the API's own page, and of nothing else of syncengine: client and sandbox cannot share a mistake.

    sandbox = Sandbox(Behaviour(add=Add.PARTIAL), [Fault(what=Status(503), nth=3)])
    httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url="http://sandbox")     # in process
    with running(sandbox) as url: ...                                                            # on a real port
"""

from syncengine.sandbox.account import DEFAULT_KEY, DEFAULT_LIST, DEFAULT_TOKEN, Act, ContactEvent, MessageEvent
from syncengine.sandbox.addresses import Normalisation
from syncengine.sandbox.api import ConnectionDroppedError
from syncengine.sandbox.behaviour import (
    Add,
    BatchFault,
    Behaviour,
    CampaignForm,
    EmptyValue,
    ErrorContainer,
    ErrorNaming,
    ErrorShape,
    ExistingVariable,
    Ids,
    ListInErrors,
    OmittedActive,
    RemoveUnknown,
    RenameCollision,
    RenameOrder,
    ResultOnError,
    ResultSpelling,
    RetryAfter,
    Unknown,
    Update,
)
from syncengine.sandbox.contacts import Contact, ContactList, Transition
from syncengine.sandbox.contract import Endpoint, VariableType
from syncengine.sandbox.faults import (
    ContentType,
    Delay,
    Drip,
    Drop,
    DuplicateApply,
    Fault,
    Hang,
    Html,
    LateApply,
    RawBody,
    Redirect,
    Status,
    Truncate,
    When,
)
from syncengine.sandbox.hooks import Delivery, Hooks, Postman
from syncengine.sandbox.instance import DEFAULT_INSTANCE_KEY
from syncengine.sandbox.outbox import MessageAct
from syncengine.sandbox.sandbox import Sandbox
from syncengine.sandbox.scenarios import SCENARIOS, Scenario, described, scenario
from syncengine.sandbox.serve import running, serve
from syncengine.sandbox.watch import Overlap, Request

__all__ = [
    "DEFAULT_INSTANCE_KEY",
    "DEFAULT_KEY",
    "DEFAULT_LIST",
    "DEFAULT_TOKEN",
    "SCENARIOS",
    "Act",
    "Add",
    "BatchFault",
    "Behaviour",
    "CampaignForm",
    "ConnectionDroppedError",
    "Contact",
    "ContactEvent",
    "ContactList",
    "ContentType",
    "Delay",
    "Delivery",
    "Drip",
    "Drop",
    "DuplicateApply",
    "EmptyValue",
    "Endpoint",
    "ErrorContainer",
    "ErrorNaming",
    "ErrorShape",
    "ExistingVariable",
    "Fault",
    "Hang",
    "Hooks",
    "Html",
    "Ids",
    "LateApply",
    "ListInErrors",
    "MessageAct",
    "MessageEvent",
    "Normalisation",
    "OmittedActive",
    "Overlap",
    "Postman",
    "RawBody",
    "Redirect",
    "RemoveUnknown",
    "RenameCollision",
    "RenameOrder",
    "Request",
    "ResultOnError",
    "ResultSpelling",
    "RetryAfter",
    "Sandbox",
    "Scenario",
    "Status",
    "Transition",
    "Truncate",
    "Unknown",
    "Update",
    "VariableType",
    "When",
    "described",
    "running",
    "scenario",
    "serve",
]
