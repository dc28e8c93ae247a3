"""Every code a contact can be given, with what it means and what to do, and the service's texts that lead to one.

The texts are those documented for SmartSender v2 (its list is complete as documented: 21 strings). A text
that matches no pattern keeps its words and gets the code `unknown-text`: it is never guessed at.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class Stage(StrEnum):
    """Who stopped the contact: we before sending, they with an answer, or nobody could tell."""

    HELD = "held"
    REJECTED = "rejected"
    UNRESOLVED = "unresolved"


class Family(StrEnum):
    """What kind of fault an error text speaks of; decides the next request, not the verdict."""

    EXISTS = "exists"  #: the contact is on the list already
    MISSING = "missing"  #: the list does not have the contact
    VARIABLE = "variable"  #: a variable is not defined, or its value does not fit
    INVALID = "invalid"  #: the arguments were refused as a whole, before anything was stored
    LIMIT = "limit"  #: too many contacts in one request
    FATAL = "fatal"  #: token or list: no request can succeed
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Entry:
    """One code. `again` says whether a later run sends the same content once more by itself."""

    code: str
    stage: Stage
    meaning: str
    advice: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """One documented error text: `pattern` matches it whole; group `address` or `variable` is what it names."""

    pattern: re.Pattern[str]
    family: Family
    code: str


@dataclass(frozen=True, slots=True)
class Reading:
    """What an error text says: its family and code, and the address or variable it names, as spelled there."""

    family: Family
    code: str
    address: str | None = None
    variable: str | None = None


def _held(code: str, meaning: str, advice: str) -> Entry:
    return Entry(code, Stage.HELD, meaning, advice)


def _rejected(code: str, meaning: str, advice: str) -> Entry:
    return Entry(code, Stage.REJECTED, meaning, advice)


def _unresolved(code: str, meaning: str, advice: str, *, again: bool) -> Entry:
    return Entry(code, Stage.UNRESOLVED, meaning, advice, again)


_FIX_IN_CRM = "fix the cell in the CRM and export again, or leave it: the row is looked at in every run"

ENTRIES: tuple[Entry, ...] = (
    _held("email-empty", "the address cell is empty", "nothing to do, or give the contact an address in the CRM"),
    _held("email-invalid", "the cell is not an address", _FIX_IN_CRM),
    _held(
        "email-several",
        "several addresses in one cell",
        'keep one in the CRM, or say which count: columns.email = { column = "…", several = "first" }, or "all"',
    ),
    _held("email-exchange", "an Exchange path of Outlook (/o=…), not an address", "export the SMTP address instead"),
    _held("email-placeholder", "a placeholder stands where the address should be", _FIX_IN_CRM),
    _held("key-empty", "the id column that identifies contacts is empty", _FIX_IN_CRM),
    _held("key-too-long", "the id that identifies the contact is longer than 512 characters", _FIX_IN_CRM),
    _held(
        "active-empty",
        "the cell that says whether the contact is subscribed is empty; it is never guessed",
        "fill it in the CRM, or give every row one value: active = true",
    ),
    _held(
        "active-unreadable",
        "the cell that says whether the contact is subscribed is neither yes nor no",
        "use yes/no, true/false or 1/0 in that column",
    ),
    _held(
        "date-unreadable",
        "the cell is not a date in the formats the config names",
        'add the format: { column = "…", type = "date", formats = ["%d.%m.%Y"] }',
    ),
    _held(
        "phone-scientific",
        "the phone number was turned into 7.9E+10 by a spreadsheet: its digits are lost",
        _FIX_IN_CRM,
    ),
    _held("control-character", "a cell holds a control character (NUL, ESC, …)", _FIX_IN_CRM),
    _held("contact-too-large", "the contact alone is larger than one request may be", "shorten its longest cell"),
    _held("row-empty", "every cell of the row is empty", "nothing to do"),
    _held(
        "row-short",
        "the row has fewer cells than the header",
        "look at the line: a line break or a separator is missing",
    ),
    _held(
        "row-long", "the row has more cells than the header", "look at the line: a cell with a separator needs quotes"
    ),
    _held("row-cut", "the last row is cut off", "export the file again: it was not written to its end"),
    _held("row-nul", "the row holds NUL bytes", "export the file again"),
    _held(
        "row-return",
        "a carriage return without a line feed stands outside quotes",
        "export the file again, or give every line the same end",
    ),
    _held(
        "row-encoding",
        "the row has bytes that are no text in the file's encoding",
        'name it: source = { path = "…", encoding = "…" }',
    ),
    _held(
        "row-quote",
        "a quote opens and never closes, or stands in mid-cell",
        "look at the line: a quote inside a cell is doubled",
    ),
    _held("cell-too-long", "a cell is longer than 1 MiB", _FIX_IN_CRM),
    _held(
        "duplicate", "another row of the source is the same contact, and was taken", "remove one of the two in the CRM"
    ),
    _held("rule", "a [[job.hold]] rule of the config holds the row", "nothing to do: this is what the rule is for"),
    _held(
        "opted-out",
        "the CRM says the person opted out, and the list is not known to have them",
        'nothing to do; to have such people on the list as unsubscribed: opted_out = "record" in the [[job]]',
    ),
    _held("deleted", "the CRM says the record is deleted", "nothing to do"),
    _held(
        "suppressed",
        "SmartSender reported that this person unsubscribed, complained, bounced or was removed; "
        'or, under consent = "keep", a mirror removed them when they were not subscribed',
        "nothing to do; if the list shows the contact as subscribed again: syncengine state adopt EXPORT.csv --written "
        '"2026-11-25 10:00" (when SmartSender wrote it)',
    ),
    _held(
        "unsubscribed",
        "the list has this person as unsubscribed, as far as confirmed: no template is sent to them",
        "where they have to get it all the same, a receipt say: mail trigger --suppressed-too",
    ),
    _held("forgotten", "the person was erased with `state forget` and is not added again", "nothing to do"),
    _held(
        "rejected-before",
        "the service rejected exactly this content in an earlier run",
        "change the row in the CRM, or force it: syncengine retry",
    ),
    _held(
        "add-only",
        'the contact is on the list with other values and the job is mode = "add"',
        'nothing to do, or use mode = "upsert"',
    ),
    _held(
        "address-shared",
        "two rows with different ids claim one address; the list can hold it once",
        "remove the address from one of the two in the CRM",
    ),
    _held(
        "rename-taken",
        "the new address belongs to another contact of the list",
        "merge the two in the CRM",
    ),
    _held(
        "rename-swap",
        "contacts exchange their addresses in a circle; no order of single renames can do that",
        "give one of them a third address first, sync, then the final one",
    ),
    _rejected("already-exists", "the contact is on the list already and the job may only add", 'use mode = "upsert"'),
    _rejected("not-on-list", "the list does not have the contact and the job may only update", 'use mode = "upsert"'),
    _rejected(
        "variable-missing",
        "the list does not know a variable, and it could not be created",
        "create it on the list's page, then: syncengine retry",
    ),
    _rejected(
        "variable-value",
        "the value does not fit the type of the variable",
        "fix the cell, or map the column to another variable",
    ),
    _rejected(
        "arguments",
        "the service refused the fields of this contact",
        "compare the address and fields with the text of the service",
    ),
    _rejected(
        "limit", "the service takes not even this contact alone in a request", "ask their support, with its text"
    ),
    _rejected("not-found", "the service does not find the contact", "nothing to do"),
    _rejected(
        "unknown-text",
        "the service refused the contact in words we do not know",
        "read its text; then: syncengine retry",
    ),
    _unresolved(
        "consent-unknown",
        "the list has this contact, as far as can be told not from us, "
        'and consent = "keep" forbids to touch what we do not know',
        "download the list in SmartSender and run: syncengine state adopt EXPORT.csv",
        again=False,
    ),
    _unresolved(
        "perhaps-ours",
        "the list has this contact, perhaps through an add of ours that was not plainly answered; "
        'the job is mode = "add" and does not touch who was there before',
        "download the list in SmartSender and run: syncengine state adopt EXPORT.csv",
        again=False,
    ),
    _unresolved(
        "perhaps-gone",
        "the service refused to remove the contact in words we do not know, perhaps because it is gone already",
        "look at the contact on the list's page; then: syncengine retry",
        again=False,
    ),
    _unresolved(
        "unattributable",
        "an answer spoke of errors but not of whom, and the budget to find out was spent",
        "run the sync again",
        again=True,
    ),
    _unresolved("no-answer", "the service gave no usable answer for this contact", "run the sync again", again=True),
    _unresolved(
        "rename-waits",
        "the address is that of another contact, who was to move away from it first and could not",
        "look at that one with: syncengine errors; the next sync tries both again",
        again=True,
    ),
    _unresolved(
        "contradictory",
        "the service said both that the contact exists and that it does not",
        "look at the contact on the list's page; then: syncengine retry",
        again=False,
    ),
)

BY_CODE: dict[str, Entry] = {entry.code: entry for entry in ENTRIES}

_ADDRESS = r"(?P<address>.+?)"
_NAME = r"(?P<variable>.+?)"


def _text(pattern: str, family: Family, code: str) -> Text:
    return Text(re.compile(pattern, re.DOTALL | re.IGNORECASE), family, code)


# The documents drop closing quotes here and there and escape others, hence the optional quotes and backslashes.
_Q = r"\\?[\"']?"
TEXTS: tuple[Text, ...] = (
    _text(r"API Key .* does not exist\.?", Family.FATAL, "token-refused"),
    _text(r"(Authorization needed|Unauthorized)\.?", Family.FATAL, "token-refused"),
    _text(r"Email list with id .* not found\.?", Family.FATAL, "list-refused"),
    _text(rf"Contact with email {_ADDRESS} already exists\.?", Family.EXISTS, "already-exists"),
    _text(rf"Unable to find email {_ADDRESS} in email list .*", Family.MISSING, "not-found"),
    _text(rf"Contact {_ADDRESS} not found!?", Family.MISSING, "not-found"),
    _text(rf"Variable name {_NAME} not found in defined email list variables!.*", Family.VARIABLE, "variable-missing"),
    _text(rf"Invalid variable type on {_NAME}", Family.VARIABLE, "variable-value"),
    _text(rf"Invalid field {_Q}.+?{_Q} on \w+", Family.INVALID, "arguments"),
    _text(rf"Not valid type for argument {_Q}\w+{_Q} in query {_Q}\w+{_Q}\\?", Family.INVALID, "arguments"),
    _text(rf"Require {_Q}[\w, ]+{_Q} arguments to query {_Q}\w+{_Q}", Family.INVALID, "arguments"),
    _text(r"Unexpected token .*", Family.INVALID, "arguments"),
    _text(r"HTTP 413: .*", Family.LIMIT, "contact-too-large"),
    _text(r"Current limitation is \d+ contacts per request!?", Family.LIMIT, "limit"),
)
_LIKELY_VARIABLE_EXISTS = re.compile(r"variable.*\balready\b", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=4096)
def read_text(text: str) -> Reading:
    """What one error text of the service says. Total: an unknown text is `Family.OTHER`, `unknown-text`."""
    stripped = text.strip()
    for known in TEXTS:
        match = known.pattern.fullmatch(stripped)
        if match:
            groups = match.groupdict()
            return Reading(known.family, known.code, groups.get("address"), groups.get("variable"))
    return Reading(Family.OTHER, "unknown-text")


def says_variable_exists(text: str) -> bool:
    """Whether an error of `variables/add` means that the variable is there (v3's words; v2 documents none)."""
    return _LIKELY_VARIABLE_EXISTS.search(text) is not None


def holds_whatever_it_says(code: str) -> bool:
    """Whether a contact that was left unresolved with this code stays so whatever its row says meanwhile."""
    return code in {"consent-unknown", "suppressed"}


def sent_again(code: str) -> bool:
    """Whether a later run sends the same content again by itself. Unknown codes are not."""
    entry = BY_CODE.get(code)
    return entry is not None and entry.again
