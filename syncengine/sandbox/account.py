"""The account behind the API: its tokens, lists and templates, and what people do to its contacts."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from random import Random
from typing import NamedTuple

from syncengine.sandbox.behaviour import Behaviour
from syncengine.sandbox.contacts import OUTSIDE, ContactList
from syncengine.sandbox.contract import VariableType
from syncengine.sandbox.fields import Fields, as_text
from syncengine.sandbox.instance import Instance
from syncengine.sandbox.outbox import Message, MessageAct, Outbox

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105  # public on purpose: it opens a server that holds nothing of value
DEFAULT_KEY = "sandbox-key"
DEFAULT_LIST = "5537ab2a08d241dc69326b19"
DEFAULT_LIST_NAME = "Newsletter"


class Act(StrEnum):
    """What a person (by a link in a mail) or an operator (by the control panel) does to a contact."""

    SUBSCRIBE = "subscribe"
    UNSUBSCRIBE = "unsubscribe"
    REMOVE = "remove"


_EVENTS = {Act.SUBSCRIBE: "subscribed", Act.UNSUBSCRIBE: "unsubscribed", Act.REMOVE: "removed"}


class MessageEvent(NamedTuple):
    """What a webhook would tell of a mail. It names no list."""

    event: str
    email: str
    datetime: int  #: Unix seconds
    message_id: str

    def as_json(self) -> dict[str, object]:
        """The body of the page's "Message Callback Events"."""
        return {"datetime": self.datetime, "event": self.event, "email": self.email, "id": self.message_id}


class ContactEvent(NamedTuple):
    """What a webhook would tell of an act."""

    event: str  #: subscribed, unsubscribed, removed
    email: str
    datetime: int  #: Unix seconds
    contact_id: str
    list_id: str

    def as_json(self) -> dict[str, object]:
        """The body of the page's "Contact Management Callback Events"."""
        return {
            "event": self.event,
            "email": self.email,
            "datetime": self.datetime,
            "contactId": self.contact_id,
            "emailListId": self.list_id,
        }


class Account:
    """Tokens, lists, templates; with the behaviour, since that decides which addresses are the same.

    tokens      those that are accepted, also as the secret of the sending group
    keys        of the sending group
    lists       by id
    templates   id → the variables it prints; a template that is not here prints none
    outbox      mails that left, and what happened to them
    instance    of SmarterSends
    epoch       Unix time at zero of the clock
    events      acts, oldest first: what webhooks would have told
    """

    def __init__(self, behaviour: Behaviour, chance: Random, tokens: Iterable[str] = ()) -> None:
        self.chance = chance
        self.tokens = {DEFAULT_TOKEN, *tokens}
        self.lists: dict[str, ContactList] = {}
        self.templates: dict[str, tuple[str, ...]] = {}
        self.keys = {DEFAULT_KEY}
        self.outbox = Outbox()
        self.instance = Instance()
        self.epoch = 0.0
        self.events: list[ContactEvent | MessageEvent] = []
        self.addresses = behaviour.addresses
        self._behaviour = behaviour
        self._lists_made = 0
        self._happened: set[tuple[str, int]] = set()
        self.create_list(DEFAULT_LIST, DEFAULT_LIST_NAME)

    @property
    def messages(self) -> list[Message]:
        """Mails that left, oldest first."""
        return self.outbox.messages

    @property
    def behaviour(self) -> Behaviour:
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        """Raises ValueError, with nothing changed, when two contacts of a list would become one."""
        old = self._behaviour
        if (behaviour.normalisation, behaviour.case_sensitive) != (old.normalisation, old.case_sensitive):
            addresses = behaviour.addresses
            indexes = [(contacts, contacts.index(addresses)) for contacts in self.lists.values()]
            for contacts, by_address in indexes:
                contacts.go_over_to(addresses, by_address)
            self.addresses = addresses
        self._behaviour = behaviour

    def create_list(self, list_id: str, name: str) -> ContactList:
        """Raises ValueError when the account has a list with this id."""
        if list_id in self.lists:
            raise ValueError(f"there is a list {list_id!r} already")
        self._lists_made += 1
        self.lists[list_id] = ContactList(list_id, name, self.addresses, number=self._lists_made)
        return self.lists[list_id]

    def seed(self, list_id: str, contacts: Iterable[Mapping[str, object]]) -> int:
        """Contacts that were there before: `{"email", "name", "active", "variables"}`, only `email` being required.

        `active` is true unless given; `variables` maps names to texts; names that the list lacks are added, as texts.
        Gives the number of contacts. Raises KeyError for an unknown list, and ValueError for a contact that cannot be,
        those before it having been added.
        """
        target = self.lists[list_id]
        count = 0
        for contact in contacts:
            _seed_one(target, contact)
            count += 1
        return count

    def act(self, list_id: str, contact_id: str, act: Act, *, at: float) -> ContactEvent:
        """A person or the operator does something to a contact, at Unix time `at`.

        The one door for all such acts, and so the place from which webhooks are to be sent.
        Raises KeyError for an unknown list or contact.
        """
        contacts = self.lists[list_id]
        contact = contacts.contacts[contact_id]
        if act is Act.REMOVE:
            contacts.remove(contact, request=OUTSIDE)
        else:
            contacts.set_active(contact, active=act is Act.SUBSCRIBE, request=OUTSIDE)
        event = ContactEvent(_EVENTS[act], contact.email, int(at), contact_id, list_id)
        self.events.append(event)
        return event

    def react(self, email: str, act: MessageAct, message_id: str, *, at: float) -> MessageEvent:
        """Something becomes of a mail to an address, at Unix time `at`. Whether lists take note of it the page does not
        say: these do not.
        """
        event = MessageEvent(act.value, email, int(at), message_id)
        self.events.append(event)
        return event

    def let_things_happen(self, number: int, token: str, list_id: str) -> None:
        """What the behaviour has in store for this request or, where that one did not get here, the next that does."""
        behaviour = self._behaviour
        if self._is_time("revoke", behaviour.revoke_token_at, number, possible=token in self.tokens):
            self.tokens.discard(token)
        contacts = self.lists.get(list_id)
        if contacts is None:
            return
        if self._is_time("delete", behaviour.delete_list_at, number, possible=True):
            del self.lists[list_id]
        name = behaviour.drop_variable or next(iter(contacts.variables), "")
        if self._is_time("drop", behaviour.drop_variable_at, number, possible=name in contacts.variables):
            contacts.drop_variable(name)

    def _is_time(self, what: str, at: int | None, number: int, *, possible: bool) -> bool:
        if at is None or number < at or not possible or (what, at) in self._happened:
            return False
        self._happened.add((what, at))
        return True


def _seed_one(contacts: ContactList, seed: Mapping[str, object]) -> None:
    email, active, variables = seed.get("email"), seed.get("active", True), seed.get("variables") or {}
    if not isinstance(email, str) or not contacts.addresses.is_valid(email):
        raise ValueError(f"email is an address; not {email!r}")
    key = contacts.addresses.key(email)
    if key in contacts.by_address:
        raise ValueError(f"list {contacts.id} has {email!r} already")
    if not isinstance(active, bool) or not isinstance(variables, Mapping):
        raise ValueError(f"{email}: active is true or false, variables maps names to texts")  # noqa: TRY004  # JSON's
    names, values = tuple(variables), tuple([as_text(value) or "" for value in variables.values()])
    for name in names:
        if name not in contacts.variables:
            contacts.add_variable(name, VariableType.STRING)
    fields = Fields(email, as_text(seed.get("name")), active, names, values)
    contacts.create(key, fields, contacts.shape(names), request=OUTSIDE)
