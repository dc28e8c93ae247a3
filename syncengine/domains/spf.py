"""SPF (RFC 7208) as far as a record can be judged without a message: syntax, includes, and look-ups to the end.

A receiver gives up after ten terms that cost a look-up (§4.6.4), counted through all includes, and after two that find
nothing. Then the record is as good as none.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from syncengine.domains.expected import SPF, SPF_INCLUDE
from syncengine.domains.findings import TXT, Finding, Lookup
from syncengine.errors import UnavailableError

MAX_LOOKUPS: Final = 10
MAX_VOID: Final = 2
_MAX_DEPTH: Final = 20  #: a chain of includes this long is far beyond ten look-ups anyway

_TERM: Final = re.compile(
    r"(?P<qualifier>[+?~-]?)(?P<name>all|include|a|mx|ptr|ip4|ip6|exists)(?:(?P<sign>[:/])(?P<argument>\S+))?",
    re.IGNORECASE,
)
_MODIFIER: Final = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9._-]*)=(?P<argument>\S*)")
_COSTLY: Final = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})
_PASSING: Final = frozenset({"spf-macro", "spf-include-silent", "spf-silent"})  #: nobody can say now
_NEEDS_ARGUMENT: Final = frozenset({"include", "ip4", "ip6", "exists"})


@dataclass(frozen=True, slots=True)
class Term:
    """A mechanism or modifier. `text` is as written."""

    text: str
    name: str  #: in lower case; "" for what is none
    qualifier: str = "+"
    argument: str = ""


@dataclass(slots=True)
class _Walk:
    """What following a record to its end met."""

    lookup: Lookup
    lookups: int = 0
    void: int = 0
    includes: set[str] = field(default_factory=set)  #: that are reached
    faults: list[tuple[str, str]] = field(default_factory=list)  #: (code, text)

    def follow(self, domain: str, record: str, path: tuple[str, ...]) -> None:
        """Count what `record`, found at `domain`, costs."""
        for term in reached(terms(record)):
            if term.name == "":
                self.faults.append(("spf-syntax", f"{domain}: {term.text!r} is not SPF: receivers reject the record"))
            elif term.name in _NEEDS_ARGUMENT and not term.argument:
                self.faults.append(("spf-syntax", f"{domain}: {term.text!r} says no domain or address"))
            elif term.name in _COSTLY:
                self._look(domain, term, path)

    def _look(self, domain: str, term: Term, path: tuple[str, ...]) -> None:
        self.lookups += 1
        target = term.argument.partition("/")[0].rstrip(".").lower() or domain
        if term.name not in {"include", "redirect"}:
            self._resolve(term, target)
            return
        self.includes.add(target)
        if "%" in target:
            self.faults.append(("spf-macro", f"{domain}: {term.text} depends on the message and was not followed"))
        elif target in path or len(path) > _MAX_DEPTH:
            self.faults.append(("spf-loop", f"{domain}: {term.text} leads back to {target}"))
        elif self.lookups <= 3 * MAX_LOOKUPS:  # enough is known, and nobody else's servers are to be bothered
            self._include(domain, term, target, path)

    def _include(self, domain: str, term: Term, target: str, path: tuple[str, ...]) -> None:
        try:
            records = spf_records(self.lookup(target, TXT))
        except UnavailableError:
            self.faults.append(("spf-include-silent", f"{domain}: {term.text}, but nobody answers for {target}"))
            return
        if len(records) == 1:
            self.follow(target, records[0], (*path, target))
        else:
            self.void += not records
            what = "has no SPF record" if not records else f"has {len(records)} SPF records"
            self.faults.append(("spf-include-broken", f"{domain}: {term.text}, but {target} {what}"))

    def _resolve(self, term: Term, target: str) -> None:
        kinds = {"a": ("A", "AAAA"), "mx": ("MX",), "exists": ("A",)}.get(term.name, ())
        try:
            if kinds and "%" not in target and not any(self.lookup(target, kind) for kind in kinds):
                self.void += 1
        except UnavailableError:
            self.faults.append(("spf-silent", f"{term.text}: nobody answers for {target}"))


def spf_records(texts: tuple[str, ...]) -> list[str]:
    """Those of a name's TXT records that are SPF (§4.5)."""
    return [text for text in texts if re.match(r"v=spf1(?: |$)", text, re.IGNORECASE)]


def terms(record: str) -> list[Term]:
    """The terms of a record, in order, without the version."""
    return [_term(word) for word in record.split()[1:]]


def _term(word: str) -> Term:
    mechanism = _TERM.fullmatch(word)
    if mechanism:
        argument = mechanism["argument"] or ""
        if mechanism["sign"] == "/":
            argument = f"/{argument}"
        return Term(word, mechanism["name"].lower(), mechanism["qualifier"] or "+", argument)
    modifier = _MODIFIER.fullmatch(word)
    if modifier:  # unknown ones are ignored (§6)
        return Term(word, modifier["name"].lower(), "", modifier["argument"])
    return Term(word, "")


def reached(all_terms: list[Term]) -> Iterator[Term]:
    """Those a receiver gets to: nothing after `all`, and `redirect` only where there is no `all`, after the others."""
    redirect = None
    for term in all_terms:
        if term.name == "redirect":
            redirect = term
            continue
        yield term
        if term.name == "all":
            return
    if redirect is not None:
        yield redirect


def check_spf(domain: str, lookup: Lookup) -> Finding:
    """The SPF record of `domain`."""
    finding = Finding("spf", domain, TXT, required=True, expected=SPF)
    records = spf_records(lookup(domain, TXT))
    finding.found = tuple(records)
    if not records:
        finding.object_to("spf-missing", "there is no SPF record")
        finding.value = SPF
        return finding
    if len(records) > 1:
        finding.object_to(
            "spf-several", f"there are {len(records)} SPF records: receivers then use none of them; keep one, as below"
        )
        finding.value = mended(_merged(records))
        return finding
    _check_record(finding, domain, records[0], lookup)
    return finding


def _check_record(finding: Finding, domain: str, record: str, lookup: Lookup) -> None:
    walk = _Walk(lookup)
    walk.follow(domain, record, (domain,))
    for code, text in walk.faults:
        (finding.warn if code in _PASSING else finding.object_to)(code, text)
    if SPF_INCLUDE not in walk.includes:
        stands = any(term.argument.lower() == SPF_INCLUDE for term in terms(record))
        why = "it stands behind `all`, where nobody reads on" if stands else f"it lacks include:{SPF_INCLUDE}"
        finding.object_to("spf-include-missing", f"SmartSender may not send for the domain: {why}")
        finding.value = mended(record)
    if walk.lookups > MAX_LOOKUPS:
        finding.object_to(
            "spf-lookups",
            f"it costs {walk.lookups} look-ups; after {MAX_LOOKUPS} receivers give up: drop what is not used",
        )
    if walk.void > MAX_VOID:
        finding.warn("spf-void", f"{walk.void} of its look-ups find nothing; after {MAX_VOID} receivers may give up")
    _judge_terms(finding, record)


def _judge_terms(finding: Finding, record: str) -> None:
    written = terms(record)
    last = next((term for term in written if term.name == "all"), None)
    if last is not None and last.qualifier == "+":
        finding.object_to("spf-all", f"{last.text} lets the whole world send in the domain's name")
        finding.value = mended(record)
    elif last is None and not any(term.name == "redirect" for term in written):
        finding.warn(
            "spf-no-all", "it does not end in ?all, ~all or -all: what it does not name is neither good nor bad"
        )
    if any(term.name == "ptr" for term in written):
        finding.warn("spf-ptr", "ptr is slow and should not be used (RFC 7208 §5.5)")


def mended(record: str) -> str:
    """`record` with SmartSender's include in front of what ends it; an `all` for everybody becomes `?all`."""
    parsed = [term for term in terms(record) if term.text.lower() != f"include:{SPF_INCLUDE}"]
    kept = [term for term in parsed if not (term.name == "all" and term.qualifier == "+")]
    end = next((at for at, term in enumerate(kept) if term.name in {"all", "redirect"}), len(kept))
    words = [term.text for term in kept]
    closing = [] if end < len(kept) else ["?all"]
    return " ".join(["v=spf1", *words[:end], f"include:{SPF_INCLUDE}", *words[end:], *closing])


def _merged(records: list[str]) -> str:
    """One record with the terms of all, each once; the first `all` ends it."""
    words = dict.fromkeys(word for record in records for word in record.split()[1:])
    endings = [word for word in words if _term(word).name in {"all", "redirect"}]
    return " ".join(["v=spf1", *(word for word in words if word not in endings), *endings[:1]])
