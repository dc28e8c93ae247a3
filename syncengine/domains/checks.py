"""All that SmartSender asks of a domain, looked at: a report, and no more look-ups than that takes."""

from typing import Final

import idna

from syncengine.domains import expected
from syncengine.domains.findings import MX, TXT, DomainReport, Finding, Lookup
from syncengine.domains.keys import check_dkim, check_domainkey, tags
from syncengine.domains.spf import check_spf
from syncengine.errors import ConfigError

_POLICIES: Final = frozenset({"none", "quarantine", "reject"})
_REMOVED: Final = ("pct", "rf", "ri")  #: by RFC 9989


def check_domain(domain: str, lookup: Lookup) -> DomainReport:
    """Raises ConfigError for what is no domain, UnavailableError where the DNS does not answer."""
    name = normal_domain(domain)
    findings = [
        check_spf(name, lookup),
        check_dkim(name, lookup),
        check_domainkey(name, lookup),
        check_dmarc(name, lookup),
        check_mx(name, lookup),
    ]
    return DomainReport(name, findings)


def normal_domain(domain: str) -> str:
    """The domain as the DNS has it: lower case, xn--. Raises ConfigError."""
    bare = domain.strip().rstrip(".")
    fix = "syncengine dns check example.com"
    if "@" in bare:
        fix = f"syncengine dns check {bare.rpartition('@')[2]}"
    try:
        name = idna.encode(bare, uts46=True).decode("ascii").lower()
    except ValueError as error:
        raise ConfigError(f"{domain!r} is no domain", why=str(error), fix=fix, code="domain") from None
    if "." not in name:
        raise ConfigError(f"{domain!r} is no domain", why="it has no dot", fix=fix, code="domain")
    return name


def check_dmarc(domain: str, lookup: Lookup) -> Finding:
    """`_dmarc`: recommended. Where the domain has none, the one of a domain above holds (RFC 9989 §4.10)."""
    finding = Finding("dmarc", f"_dmarc.{domain}", TXT, required=False, expected=expected.dmarc(domain))
    for name in _upwards(domain):
        records = tuple(text for text in lookup(f"_dmarc.{name}", TXT) if text.strip().lower().startswith("v=dmarc1"))
        if records:
            finding.found = records
            if len(records) > 1:
                finding.warn("dmarc-several", f"there are {len(records)} records: receivers then use none of them")
            else:
                _judge_dmarc(finding, records[0], inherited=name != domain)
            break
    else:
        finding.warn("dmarc-missing", "there is no such record; it is recommended")
        finding.value = finding.expected
    return finding


def _upwards(domain: str) -> list[str]:
    """The domain and those above it, down to two labels; no more than eight questions."""
    labels = domain.split(".")
    return [".".join(labels[at:]) for at in range(len(labels) - 1)][-8:]


def _judge_dmarc(finding: Finding, record: str, *, inherited: bool) -> None:
    found = tags(record)
    if found is None:
        finding.warn("dmarc-syntax", "it is no list of tags such as v=DMARC1; p=none")
        finding.value = finding.expected
        return
    policy = found.get("sp", found.get("p", "")) if inherited else found.get("p", "")
    if not policy:
        finding.warn("dmarc-policy", "it has no policy (p=), which counts as none")
    elif policy.lower() not in _POLICIES:
        finding.warn("dmarc-policy", f"{policy!r} is no policy: none, quarantine or reject")
    if "rua" not in found:
        finding.warn("dmarc-reports", "it asks for no reports (rua=), so that nobody sees what fails")
    gone = [f"{name}=" for name in _REMOVED if name in found]
    if gone:
        finding.warn("dmarc-old", f"{', '.join(gone)} mean nothing any more (RFC 9989)")


def check_mx(domain: str, lookup: Lookup) -> Finding:
    """MX: where bounces go. A domain that receives mail elsewhere keeps its own."""
    finding = Finding("mx", domain, MX, required=False, expected=expected.MX)
    finding.found = lookup(domain, MX)
    hosts = [record.split()[-1].rstrip(".").lower() for record in finding.found]
    if not hosts:
        finding.warn("mx-missing", "there is no MX record: answers and bounces have nowhere to go")
        finding.value = expected.MX
    elif hosts == [""]:
        finding.warn("mx-null", "the domain says that it takes no mail (RFC 7505): answers and bounces are lost")
    elif expected.MX_HOST not in hosts:
        finding.warn(
            "mx-other", f"{expected.MX_HOST} is not among them; that is fine if you receive your mail elsewhere"
        )
    return finding
