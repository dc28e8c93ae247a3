"""The lists: contacts, variables, and who was subscribed when.

Written for a million contacts in one process: a contact is one small object whose variables are a tuple of values, the
tuple of their names being shared by all contacts that have the same ones. Every method is synchronous, so whatever one
request does happens at once for all others.
"""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

from syncengine.sandbox.addresses import Addresses
from syncengine.sandbox.contract import VariableType
from syncengine.sandbox.fields import Fields

#: The number of whatever did not come by a request: seeds, the person, the operator.
OUTSIDE = 0

#: Shapes are kept to save checking names again; a list whose contacts have all sorts of subsets starts over.
_SHAPES_KEPT = 10_000


class Transition(NamedTuple):
    """From this request on the address was subscribed (True), unsubscribed (False), or not in the list (None)."""

    request: int  #: number of the API request; 0 = seed, person or operator
    active: bool | None


class Shape(NamedTuple):
    """Names of variables that were found to exist, and which of them hold dates."""

    names: tuple[str, ...]
    dates: tuple[int, ...]  #: positions in `names`


NO_VARIABLES = Shape((), ())


class UnknownVariableError(Exception):
    """The list has no variable of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the list has no variable {name!r}")
        self.name = name


class Contact:
    """One contact of a list. `created` and `updated` are numbers of requests, `updates` how often it was written to."""

    __slots__ = ("active", "created", "email", "id", "name", "names", "since", "updated", "updates", "values")

    def __init__(self, contact_id: str, email: str, fields: Fields, shape: Shape, request: int) -> None:
        self.id = contact_id
        self.email = email
        self.name = fields.name or ""
        self.names = shape.names
        self.values = fields.values
        self.active = fields.active is True
        self.since = request  #: the request that made `active` what it is
        self.created = request
        self.updated = request
        self.updates = 0

    @property
    def variables(self) -> dict[str, str]:
        return dict(zip(self.names, self.values, strict=True))

    def __repr__(self) -> str:
        state = "subscribed" if self.active else "unsubscribed"
        return f"Contact({self.id}, {self.email!r}, {self.name!r}, {state}, {self.variables!r})"


class ContactList:
    """A list of the account. Read its attributes freely; change it by its methods, which keep the indexes together.

    contacts       by id, in the order they came
    by_address     by the key of the address (see `Addresses`)
    variables      name → type, in the order they were added
    subscribed     how many contacts are active
    resubscribed   address (key) → the request that made it active although it had been unsubscribed, by whomever, or
                   removed from outside. Whoever a request removed may be added again: it is the client's own doing
    """

    def __init__(self, list_id: str, name: str, addresses: Addresses, *, number: int = 0) -> None:
        self.id = list_id
        self.name = name
        self.addresses = addresses
        self.contacts: dict[str, Contact] = {}
        self.by_address: dict[str, Contact] = {}
        self.variables: dict[str, VariableType] = {}
        self.subscribed = 0
        self.resubscribed: dict[str, int] = {}
        self._ids = map(f"5882312a{number:06x}{{:010x}}".format, itertools.count(1))
        self._shapes: dict[tuple[str, ...], Shape] = {(): NO_VARIABLES}
        self._past: dict[str, list[Transition]] = {}  # all but the last transition, which the contact itself has

    def find(self, address: str) -> Contact | None:
        return self.by_address.get(self.addresses.key(address))

    def create(self, key: str, fields: Fields, shape: Shape, *, request: int) -> Contact:
        """A new contact. `key` is that of its address, which the caller has made sure nobody has."""
        contact = Contact(next(self._ids), self.addresses.clean(fields.email or ""), fields, shape, request)
        self.contacts[contact.id] = contact
        self.by_address[key] = contact
        self.subscribed += contact.active
        if self._past:
            self._notice_return(key, contact)
        return contact

    def remove(self, contact: Contact, *, request: int) -> None:
        self.release(contact, request=request)
        self.discard(contact)

    def release(self, contact: Contact, *, request: int) -> None:
        """Takes its address from the contact, which must then get another by `settle`, or go by `discard`."""
        key = self.addresses.key(contact.email)
        del self.by_address[key]
        self._past.setdefault(key, []).extend((Transition(contact.since, contact.active), Transition(request, None)))

    def discard(self, contact: Contact) -> None:
        """A released contact leaves the list."""
        del self.contacts[contact.id]
        self.subscribed -= contact.active

    def settle(self, contact: Contact, email: str, *, request: int) -> None:
        """Gives a released contact its new address, which the caller has made sure is free."""
        contact.email = self.addresses.clean(email)
        contact.since = request
        key = self.addresses.key(contact.email)
        self.by_address[key] = contact
        self._notice_return(key, contact)

    def set_active(self, contact: Contact, *, active: bool, request: int) -> None:
        if active is contact.active:
            return
        key = self.addresses.key(contact.email)
        if contact.since != request or request == OUTSIDE:  # within one request only its end counts
            self._past.setdefault(key, []).append(Transition(contact.since, contact.active))
        if active and request != OUTSIDE:
            self.resubscribed[key] = request
        elif self.resubscribed.get(key) == request:
            del self.resubscribed[key]
        contact.active = active
        contact.since = request
        self.subscribed += 1 if active else -1

    def write(self, contact: Contact, shape: Shape, values: tuple[str, ...]) -> None:
        """Sets the variables of `shape`, leaving the contact's others as they are."""
        if not shape.names:
            return
        if contact.names != shape.names:
            merged = contact.variables | dict(zip(shape.names, values, strict=True))
            shape, values = self.shape(tuple(merged)), tuple(merged.values())
        contact.names = shape.names
        contact.values = values

    def shape(self, names: tuple[str, ...]) -> Shape:
        """Raises UnknownVariableError for the first name that the list does not have."""
        known = self._shapes.get(names)
        if known is not None:
            return known
        for name in names:
            if name not in self.variables:
                raise UnknownVariableError(name)
        if len(self._shapes) > _SHAPES_KEPT:
            self._forget_shapes()
        dates = tuple(at for at, name in enumerate(names) if self.variables[name] is VariableType.DATE)
        return self._shapes.setdefault(names, Shape(names, dates))

    def add_variable(self, name: str, kind: VariableType) -> None:
        self.variables[name] = kind
        self._forget_shapes()

    def drop_variable(self, name: str) -> None:
        """Also from every contact that has it. Raises KeyError if the list has no such variable."""
        del self.variables[name]
        self._forget_shapes()
        for contact in self.contacts.values():
            if name in contact.names:
                kept = {key: value for key, value in contact.variables.items() if key != name}
                contact.names, contact.values = self.shape(tuple(kept)).names, tuple(kept.values())

    def history(self, address: str) -> list[Transition]:
        """Everything that ever happened to the subscription of this address, oldest first."""
        key = self.addresses.key(address)
        contact = self.by_address.get(key)
        past = self._past.get(key, [])
        return [*past, Transition(contact.since, contact.active)] if contact else list(past)

    def search(self, text: str = "", *, active: bool | None = None) -> Iterator[Contact]:
        """Contacts, oldest first, whose address or name contains `text` in any case, and whose state is `active`."""
        wanted = text.strip().lower()
        for contact in self.contacts.values():
            if active is not None and contact.active is not active:
                continue
            if not wanted or wanted in contact.email.lower() or wanted in contact.name.lower():
                yield contact

    def index(self, addresses: Addresses) -> dict[str, Contact]:
        """The contacts by what their addresses come to under another rule.

        Raises ValueError when two contacts would have the same address.
        """
        by_address: dict[str, Contact] = {}
        for contact in self.contacts.values():
            other = by_address.setdefault(addresses.key(contact.email), contact)
            if other is not contact:
                raise ValueError(f"{other.email!r} and {contact.email!r} in list {self.id} would be the same contact")
        return by_address

    def go_over_to(self, addresses: Addresses, by_address: dict[str, Contact]) -> None:
        """Another rule for addresses, and the `index` by it."""
        past: dict[str, list[Transition]] = {}
        for key, transitions in self._past.items():
            past.setdefault(addresses.key(key), []).extend(transitions)
        self.addresses, self.by_address, self._past = addresses, by_address, past
        self.resubscribed = {addresses.key(key): request for key, request in self.resubscribed.items()}

    def _notice_return(self, key: str, contact: Contact) -> None:
        """Somebody comes to an address: was its last contact removed from outside?"""
        past = self._past.get(key)
        if past and past[-1].request == OUTSIDE and contact.active and contact.since != OUTSIDE:
            self.resubscribed[key] = contact.since

    def _forget_shapes(self) -> None:
        self._shapes = {(): NO_VARIABLES}
