"""variables/add, and whether the variables that a contact brings exist and fit their types."""

import datetime as dt
from functools import lru_cache

from syncengine.sandbox.behaviour import Behaviour, EmptyValue, ExistingVariable
from syncengine.sandbox.contacts import ContactList, Shape, UnknownVariableError
from syncengine.sandbox.contract import VariableType, invalid_variable_type, unknown_variable, variable_exists
from syncengine.sandbox.fields import Fields
from syncengine.sandbox.outcome import ContactFaultError, Outcome


def add_variables(contacts: ContactList, variables: list[tuple[str, VariableType]], behaviour: Behaviour) -> Outcome:
    """variables/add. Those the list lacks are added, whatever is said of the others."""
    faults = []
    for name, kind in variables:
        if name not in contacts.variables:
            contacts.add_variable(name, kind)
        elif behaviour.existing_variable is ExistingVariable.ERROR:
            faults.append(ContactFaultError(variable_exists(name, contacts.id)))
    return Outcome([], faults)


def fitting_shape(contacts: ContactList, fields: Fields, behaviour: Behaviour) -> Shape:
    """The shape of the contact's variables: they exist and the values fit.

    Raises ContactFaultError for the first that does not.
    """
    try:
        shape = contacts.shape(fields.names)
    except UnknownVariableError as unknown:
        raise ContactFaultError(unknown_variable(unknown.name)) from unknown
    if fields.valueless is not None:
        raise ContactFaultError(invalid_variable_type(fields.valueless))
    if behaviour.empty_value is EmptyValue.ERROR and "" in fields.values:
        raise ContactFaultError(invalid_variable_type(fields.names[fields.values.index("")]))
    for at in shape.dates:
        if fields.values[at] and not is_date(fields.values[at]):
            raise ContactFaultError(invalid_variable_type(fields.names[at]))
    return shape


@lru_cache(maxsize=1 << 16)
def is_date(text: str) -> bool:
    """Is it `YYYY-MM-DD`, and in the calendar? Cached: a list has few birthdays compared with its contacts."""
    if len(text) != 10 or text[4] != "-" or text[7] != "-":
        return False  # fromisoformat would also take 20161231 and 2016-W52-6
    try:
        dt.date.fromisoformat(text)
    except ValueError:
        return False
    return True
