"""Servers by name: one for each thing the API's page leaves open, and a few bad days."""

import difflib
from dataclasses import dataclass

from syncengine.sandbox.addresses import Normalisation
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
from syncengine.sandbox.faults import Drop, Fault, Hang, Html, Status, When


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named server: how it behaves, and what goes wrong with it."""

    description: str
    behaviour: Behaviour
    faults: tuple[Fault, ...] = ()


def scenario(name: str) -> Scenario:
    """Raises ValueError, with the nearest name, for one there is not."""
    if name not in SCENARIOS:
        near = difflib.get_close_matches(name, SCENARIOS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(SCENARIOS)}"
        raise ValueError(f"no scenario {name!r}; {hint}")
    return SCENARIOS[name]


def described() -> list[tuple[str, str]]:
    """Every scenario's name and what it is, in one line, the plain one first."""
    return [(name, one.description) for name, one in SCENARIOS.items()]


def scenario_of(behaviour: Behaviour, faults: tuple[Fault, ...]) -> str | None:
    """The name of the scenario that a server is, if it is one."""
    return next((name for name, one in SCENARIOS.items() if (one.behaviour, one.faults) == (behaviour, faults)), None)


_ADDING = {
    "documented": Scenario(
        "the page, read literally; adding is all or nothing",
        Behaviour(),
    ),
    "partial-named": Scenario(
        "contacts/add keeps the good contacts and names the bad ones",
        Behaviour(add=Add.PARTIAL),
    ),
    "partial-unnamed": Scenario(
        "the good contacts are kept, and errors name nobody",
        Behaviour(add=Add.PARTIAL, error_naming=ErrorNaming.NONE),
    ),
    "partial-merged": Scenario(
        "the good contacts are kept, errors name nobody, and equal errors are told once",
        Behaviour(add=Add.PARTIAL, error_naming=ErrorNaming.NONE, errors_merged=True),
    ),
    "partial-cut": Scenario(
        "the good contacts are kept, and only the first 10 errors are told",
        Behaviour(add=Add.PARTIAL, errors_limit=10),
    ),
    "partial-wrong-contact": Scenario(
        "the good contacts are kept, and errors name somebody else",
        Behaviour(add=Add.PARTIAL, error_naming=ErrorNaming.WRONG_CONTACT),
    ),
    "partial-lowercased": Scenario(
        "the good contacts are kept, and errors name addresses in lower case",
        Behaviour(add=Add.PARTIAL, error_naming=ErrorNaming.LOWERCASED),
    ),
    "atomic-unnamed": Scenario(
        "adding is all or nothing, and errors name nobody",
        Behaviour(add=Add.ATOMIC, error_naming=ErrorNaming.NONE),
    ),
    "stop-at-first": Scenario(
        "contacts/add keeps the contacts before the first bad one, and tells of that one",
        Behaviour(add=Add.STOP_AT_FIRST),
    ),
    "applied-but-reported-failed": Scenario(
        "contacts/add keeps the good contacts, and says it failed even if all were good",
        Behaviour(add=Add.APPLIED_BUT_REPORTED_FAILED),
    ),
}

_UPDATING = {
    "batch-contact-faults": Scenario(
        "a contact with wrong arguments is refused alone, not its whole batch",
        Behaviour(batch_fault=BatchFault.CONTACT),
    ),
    "ids-shuffled": Scenario("`updated` is in no order", Behaviour(ids=Ids.SHUFFLED)),
    "ids-short": Scenario("`updated` lacks one id", Behaviour(ids=Ids.SHORT)),
    "ids-long": Scenario("`updated` has one id of nobody", Behaviour(ids=Ids.LONG)),
    "ids-duplicated": Scenario("`updated` has one id twice, in place of another", Behaviour(ids=Ids.DUPLICATED)),
    "ids-unknown": Scenario("`updated` has ids that mean nothing", Behaviour(ids=Ids.UNKNOWN)),
    "update-replaces": Scenario(
        "an update erases the name and the variables it does not mention", Behaviour(update=Update.REPLACES)
    ),
    "active-kept": Scenario(
        "an update without `active` leaves it as it was", Behaviour(omitted_active=OmittedActive.KEEPS)
    ),
    "rename-merge": Scenario(
        "a contact renamed to another's address becomes one with it",
        Behaviour(rename_collision=RenameCollision.MERGE),
    ),
    "rename-overwrite": Scenario(
        "a contact renamed to another's address takes its place",
        Behaviour(rename_collision=RenameCollision.OVERWRITE),
    ),
    "rename-snapshot": Scenario(
        "the renames of a batch happen at once: swaps work", Behaviour(rename_order=RenameOrder.SNAPSHOT)
    ),
    "rename-reversed": Scenario("a batch is carried out from its end", Behaviour(rename_order=RenameOrder.REVERSED)),
    "remove-error": Scenario(
        "contacts/remove tells of unknown addresses and removes the others",
        Behaviour(remove_unknown=RemoveUnknown.ERROR),
    ),
    "remove-refused": Scenario(
        "contacts/remove removes nobody when one address is unknown",
        Behaviour(remove_unknown=RemoveUnknown.REFUSED),
    ),
}

_WORDING = {
    "list-word": Scenario(
        "errors of a batch say the word listId instead of the id", Behaviour(list_in_errors=ListInErrors.WORD)
    ),
    "error-stack-lower": Scenario("errors are in `error_stack`", Behaviour(error_container=ErrorContainer.ERROR_STACK)),
    "errors-array": Scenario(
        "errors are in `errors`, beside a false `result`",
        Behaviour(error_container=ErrorContainer.ERRORS, result_on_error=ResultOnError.FALSE),
    ),
    "error-text": Scenario(
        "errors are one text, in `error`",
        Behaviour(error_container=ErrorContainer.ERROR, error_shape=ErrorShape.STRING),
    ),
    "result-number": Scenario(
        "`result` is 1 or 0", Behaviour(result=ResultSpelling.NUMBER, result_on_error=ResultOnError.FALSE)
    ),
    "result-string": Scenario(
        '`result` is "true" or "false"', Behaviour(result=ResultSpelling.STRING, result_on_error=ResultOnError.FALSE)
    ),
    "http-statuses": Scenario(
        "refused requests have status 400, refused tokens 401", Behaviour(error_status=400, auth_status=401)
    ),
}

_TAKING = {
    "variable-exists-error": Scenario(
        "adding a variable that exists is an error", Behaviour(existing_variable=ExistingVariable.ERROR)
    ),
    "variable-digits": Scenario("names of variables may have digits", Behaviour(variable_digits=True)),
    "no-empty-values": Scenario("a variable cannot be emptied", Behaviour(empty_value=EmptyValue.ERROR)),
    "lenient-arguments": Scenario(
        "arguments the API does not have are ignored", Behaviour(unknown_argument=Unknown.IGNORED)
    ),
    "strict-templates": Scenario("mailer/send knows its templates", Behaviour(unknown_template=Unknown.ERROR)),
    "lowercasing": Scenario(
        "addresses are stored trimmed and in lower case", Behaviour(normalisation=Normalisation.TRIM_LOWERCASE)
    ),
    "strip-plus": Scenario(
        "addresses are stored without what follows a plus", Behaviour(normalisation=Normalisation.STRIP_PLUS)
    ),
    "case-sensitive": Scenario("A@… and a@… are two contacts", Behaviour(case_sensitive=True)),
    "batch-50": Scenario("at most 50 contacts a request", Behaviour(max_batch=50, max_contacts=50)),
    "small-bodies": Scenario("bodies above 16 KiB are refused with 413", Behaviour(max_body=16_384)),
}

_PACE = {
    "rate-limited": Scenario(
        "5 requests a second, then 429 with the seconds to wait", Behaviour(rate=5, retry_after=RetryAfter.SECONDS)
    ),
    "rate-limited-date": Scenario(
        "5 requests a second, then 429 with a date", Behaviour(rate=5, retry_after=RetryAfter.DATE)
    ),
    "rate-limited-silent": Scenario("5 requests a second, then 429 without a word", Behaviour(rate=5)),
    "narrow": Scenario("4 requests at once, then 429", Behaviour(concurrency=4, latency=0.1)),
    "slow": Scenario("answers take 0.3 to 0.5 s", Behaviour(latency=0.3, jitter=0.2)),
    "knee": Scenario("slows down beyond 8 requests at once", Behaviour(latency=0.05, knee=8)),
}

_BAD_DAYS = {
    "token-revoked": Scenario("the token is revoked at request 5", Behaviour(revoke_token_at=5)),
    "list-deleted": Scenario("the list is deleted at request 5", Behaviour(delete_list_at=5)),
    "variable-dropped": Scenario("the list loses its first variable at request 5", Behaviour(drop_variable_at=5)),
    "lying": Scenario("everything is answered as done, and nothing is", Behaviour(lying=1.0)),
    "lost-answers": Scenario(
        "1 request in 10 is carried out and then not answered",
        Behaviour(),
        (Fault(what=Drop(), when=When.AFTER_APPLY, times=None, probability=0.1),),
    ),
    "outage": Scenario(
        "the first 20 requests meet 503, without a word about when to come back",
        Behaviour(),
        (Fault(what=Status(503), times=20),),
    ),
    "flaky": Scenario(
        "1 request in 20 goes wrong: 502, a page in place of JSON, no answer, a hang",
        Behaviour(latency=0.02, jitter=0.03),
        (
            Fault(what=Status(502), times=None, probability=0.02),
            Fault(what=Html(), when=When.AFTER_APPLY, times=None, probability=0.01),
            Fault(what=Drop(), when=When.AFTER_APPLY, times=None, probability=0.015),
            Fault(what=Hang(), times=None, probability=0.005),
        ),
    ),
}

_INSTANCE = {
    "smartersends-get": Scenario(
        "campaigns are exported by GET only, as in the quick start", Behaviour(campaign_form=CampaignForm.GET)
    ),
    "smartersends-post": Scenario(
        "campaigns are exported by POST only, as in the reference", Behaviour(campaign_form=CampaignForm.POST)
    ),
    "export-without-url": Scenario("exports have no temporary URL", Behaviour(export_url=False)),
    "export-late": Scenario("an exported file is there after 0.3 s", Behaviour(export_seconds=0.3)),
    "export-expired": Scenario("the URL of an export is refused at once", Behaviour(export_expires=0.0)),
}

SCENARIOS: dict[str, Scenario] = {**_ADDING, **_UPDATING, **_WORDING, **_TAKING, **_PACE, **_BAD_DAYS, **_INSTANCE}
