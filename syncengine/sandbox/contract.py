"""What the public page of API 2.0 promises: addresses, names of queries, and every error text, word for word.

Source: "SmartSender API 2.0: Get Started" (https://sndmart.com/docs.php), 19 February 2017. The page says no more than
a line about each error text; the texts are those of a PHP GraphQL server (Youshido/GraphQL, early 2017), whose habits
`arguments` follows.
"""

from enum import StrEnum


class Endpoint(StrEnum):
    """The calls of the partner group (POST, JSON, `access-token` in the header), of the sending group, and of an
    instance of SmarterSends, which is another product.
    """

    CONTACTS_ADD = "contacts/add"
    CONTACTS_REMOVE = "contacts/remove"
    CONTACTS_UPDATE = "contacts/update"
    BATCH_UPDATE = "contacts-batch/update"
    VARIABLES_ADD = "variables/add"
    MAILER_SEND = "mailer/send"
    SEND = "send"
    MESSAGE = "message"
    CAMPAIGN_EXPORT = "smartersends/campaigns"
    CONVERSATIONS = "smartersends/conversations"
    EVENTS = "smartersends/events"
    EVENT = "smartersends/event"
    DOWNLOAD = "smartersends/download"


#: Key and secret stand in the body. On a real account these two are on another host.
SENDING = frozenset({Endpoint.SEND, Endpoint.MESSAGE})

#: SmarterSends: a bearer key in the header, GET and PUT and DELETE too.
INSTANCE = frozenset(
    {Endpoint.CAMPAIGN_EXPORT, Endpoint.CONVERSATIONS, Endpoint.EVENTS, Endpoint.EVENT, Endpoint.DOWNLOAD}
)

#: URL path → call, of SmartSender.
PATHS: dict[str, Endpoint] = {
    "/api/rest/email-list/contacts/add": Endpoint.CONTACTS_ADD,
    "/api/rest/email-list/contacts/remove": Endpoint.CONTACTS_REMOVE,
    "/api/rest/email-list/contacts/update": Endpoint.CONTACTS_UPDATE,
    "/api/rest/email-list/contacts-batch/update": Endpoint.BATCH_UPDATE,
    "/api/rest/email-list/variables/add": Endpoint.VARIABLES_ADD,
    "/api/rest/mailer/send": Endpoint.MAILER_SEND,
    "/send": Endpoint.SEND,
    "/message": Endpoint.MESSAGE,
}

#: The GraphQL query behind a call of the partner group, as its error texts name it.
QUERIES: dict[Endpoint, str] = {
    Endpoint.CONTACTS_ADD: "addContactToEmailList",
    Endpoint.CONTACTS_REMOVE: "removeContact",
    Endpoint.CONTACTS_UPDATE: "updateContact",
    Endpoint.BATCH_UPDATE: "updateContact",
    Endpoint.VARIABLES_ADD: "addVariablesMetadata",
    Endpoint.MAILER_SEND: "triggerSubscription",
}


class VariableType(StrEnum):
    """What a variable holds. The page's example has `STRING` and `DATE`, its table and PHP sample the `ENUM_` names."""

    STRING = "ENUM_STRING"
    DATE = "ENUM_DATE"


VARIABLE_TYPES: dict[str, VariableType] = {
    "ENUM_STRING": VariableType.STRING,
    "STRING": VariableType.STRING,
    "ENUM_DATE": VariableType.DATE,
    "DATE": VariableType.DATE,
}

#: Names of the input types. Only VariableHolderInput is in the page.
VARIABLE_INPUT = "VariableHolderInput"
CONTACT_INPUT = "ContactInput"
PARAMETERS_INPUT = "ContactParametersInput"
BATCH_INPUT = "ContactBatchInput"
METADATA_INPUT = "VariableMetadataInput"

AUTHORIZATION_NEEDED = "Authorization needed"
NO_IDS = "Require 'ids' arguments to query 'messages'"
UNEXPECTED_COLON = 'Unexpected token "COLON"'


def unknown_token(token: str) -> str:
    """Yes: the page has the server echo the token it was given."""
    return f"API Key {token} does not exist."


def unknown_list(list_id: str) -> str:
    return f"Email list with id {list_id} not found"


def not_valid_type(argument: str, query: str) -> str:
    """The page loses this text's last quotation mark, in every place it is printed."""
    return f'Not valid type for argument "{argument}" in query "{query}"'


def required(arguments: list[str], query: str) -> str:
    return f'Require "{", ".join(arguments)}" arguments to query "{query}"'


def invalid_field(key: str, input_type: str) -> str:
    return f'Invalid field "{key}" on {input_type}'


def unknown_argument(argument: str, query: str) -> str:
    """Not in the page; the text of the GraphQL library."""
    return f'Unknown argument "{argument}" on field "{query}"'


def already_exists(email: str) -> str:
    return f"Contact with email {email} already exists"


def not_found(email: str) -> str:
    return f"Contact {email} not found!"


def not_in_list(email: str, list_id: str) -> str:
    return f"Unable to find email {email} in email list {list_id}"


def unknown_variable(name: str) -> str:
    return f"Variable name {name} not found in defined email list variables! Try to add it first!"


def invalid_variable_type(name: str) -> str:
    return f"Invalid variable type on {name}"


def too_many_contacts(limit: int) -> str:
    return f"Current limitation is {limit} contacts per request!"


def too_many_ids(limit: int) -> str:
    """Not in the page, which only says that no more are allowed."""
    return f"Current limitation is {limit} messages per request!"


def template_fault(variable: str, template: str) -> str:
    """A Twig error: the template prints a variable that the list does not have."""
    return (
        f'Unexpected token "name" of value "{variable}" ("end of print statement" expected) '
        f'in "__string_template__{template}" at line 1.'
    )


def variable_exists(name: str, list_id: str) -> str:
    """Undocumented in v2; the text of API 3.0 for the same fault."""
    return f"Variable {name} already exists in list {list_id}"
