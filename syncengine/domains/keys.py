"""Public keys in the DNS: DKIM (RFC 6376 §3.6.1), and the older DomainKey (RFC 4870 §3.2.3)."""

import re
from typing import Final

from syncengine.domains.expected import DKIM, DKIM_SELECTOR, DOMAINKEY, DOMAINKEY_SELECTOR
from syncengine.domains.findings import TXT, Finding, Lookup

_TAG: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.*?)\s*", re.DOTALL)


def check_dkim(domain: str, lookup: Lookup) -> Finding:
    """`sndmart._domainkey`: required."""
    finding = Finding("dkim", f"{DKIM_SELECTOR}._domainkey.{domain}", TXT, required=True, expected=DKIM)
    _check_key(finding, lookup)
    return finding


def check_domainkey(domain: str, lookup: Lookup) -> Finding:
    """`sm1._domainkey`: recommended; a wrong one is worse than none."""
    finding = Finding("domainkey", f"{DOMAINKEY_SELECTOR}._domainkey.{domain}", TXT, required=False, expected=DOMAINKEY)
    _check_key(finding, lookup)
    return finding


def _check_key(finding: Finding, lookup: Lookup) -> None:
    finding.found = lookup(finding.host, TXT)
    code = finding.name
    if not finding.found:
        say = finding.object_to if finding.required else finding.warn
        say(f"{code}-missing", "there is no such record" + ("" if finding.required else "; it is recommended"))
    elif len(finding.found) > 1:
        finding.object_to(f"{code}-several", f"there are {len(finding.found)} records; receivers take any one of them")
    else:
        _compare(finding, finding.found[0])
    if finding.warnings:
        finding.value = finding.expected


def _compare(finding: Finding, record: str) -> None:
    code = finding.name
    found, expected = tags(record), tags(finding.expected) or {}
    if found is None:
        finding.object_to(f"{code}-syntax", "it is no list of tags such as k=rsa; p=…")
        return
    if found.get("v", "DKIM1") != "DKIM1":
        finding.object_to(f"{code}-version", f"v={found['v']} is no version of DKIM: receivers ignore the record")
    if found.get("k", "rsa") != "rsa":
        finding.object_to(f"{code}-type", f"k={found['k']}: SmartSender signs with rsa")
    key = _key(found.get("p"))
    if key is None:
        finding.object_to(f"{code}-no-key", "it has no key (p=)")
    elif key == "":
        finding.object_to(f"{code}-revoked", "its key is empty: that revokes it")
    elif key != _key(expected.get("p")):
        finding.object_to(f"{code}-mismatch", f"its key is another one: {key[:12]}…{key[-12:]}, {len(key)} characters")
    flags = found.get("t", "").split(":")
    if "y" in flags and "t" not in expected:
        finding.warn(f"{code}-testing", "t=y says that it is only being tested: receivers may treat mail as unsigned")
    services = found.get("s", "*").split(":")
    if not {"*", "email"} & {service.strip() for service in services}:
        finding.object_to(f"{code}-service", f"s={found['s']}: the key is not for e-mail")


def tags(record: str) -> dict[str, str] | None:
    """The tags of a record (RFC 6376 §3.2), or None for what is no list of them, or has one twice."""
    found: dict[str, str] = {}
    for part in record.strip().removesuffix(";").split(";"):
        match = _TAG.fullmatch(part)
        if match is None or match[1] in found:
            return None
        found[match[1]] = match[2]
    return found


def _key(value: str | None) -> str | None:
    return None if value is None else re.sub(r"\s", "", value)  # it may be folded
