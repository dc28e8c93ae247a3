"""`dns`: does a domain's DNS let SmartSender send in its name?"""

import json
from typing import TYPE_CHECKING

import click

from syncengine.cli._exit import SCHEMA_VERSION
from syncengine.cli._options import json_option
from syncengine.cli._render import answer, say

if TYPE_CHECKING:
    from syncengine.domains.findings import DomainReport, Finding

_MARKS = {"ok": ("ok  ", "green"), "warning": ("look", "yellow"), "problem": ("bad ", "red")}
_TITLES = {"spf": "SPF", "dkim": "DKIM", "domainkey": "DomainKey", "dmarc": "DMARC", "mx": "MX"}


@click.group("dns")
def command() -> None:
    """Look whether a domain's DNS lets SmartSender send mail in its name.

    \b
    syncengine dns check example.com
    syncengine dns check example.com --json        # for monitoring
    """


@command.command("check")
@click.argument("domain")
@click.option("--nameserver", metavar="HOST[:PORT]", help="Ask this one, not the system's.")
@click.option("--timeout", type=click.FloatRange(min=0.1, max=120), default=10.0, show_default=True, help="Seconds.")
@click.option("--strict", is_flag=True, help="End with 3 on warnings too.")
@json_option
def check(domain: str, nameserver: str | None, timeout: float, *, strict: bool, as_json: bool) -> int:
    """Compare SPF, DKIM, DomainKey, DMARC and MX of DOMAIN with what SmartSender asks for.

    Ends with 0 where mail can be sent, with 3 where a record is missing or wrong, with 7 where no name server answers.
    """
    from syncengine.domains.checks import check_domain  # noqa: PLC0415  # dnspython takes 0.2 s
    from syncengine.domains.lookup import DnsLookup  # noqa: PLC0415

    report = check_domain(domain, DnsLookup(nameserver, lifetime=timeout))
    if as_json:
        document = {"schema_version": SCHEMA_VERSION, "nameserver": nameserver, **report.to_json()}
        answer(json.dumps(document, ensure_ascii=False))
    else:
        _show(report)
    return 3 if report.result == "problems" or (strict and report.result == "warnings") else 0


def _show(report: "DomainReport") -> None:
    answer(f"{report.domain}\n")
    for finding in report.findings:
        _show_finding(finding)
    changes = [finding.paste for finding in report.findings if finding.paste is not None]
    if changes:
        answer("To paste into the zone:")
        for line in changes:
            answer(f"  {line}")
    match report.result:
        case "ok":
            say("\nAll as SmartSender asks.")
        case "warnings":
            say("\nSmartSender can send for the domain; there is something to look at.")
        case _:
            say("\nMail in the name of this domain may be refused.")


def _show_finding(finding: "Finding") -> None:
    word, colour = _MARKS[finding.status.value]
    need = "required" if finding.required else "recommended"
    answer(f"{click.style(word, fg=colour)} {_TITLES[finding.name]:<10} {finding.host} {finding.kind}   {need}")
    for record in finding.found or ("nothing",):
        answer(f"       found     {_cut(record)}")
    if finding.status.value != "ok":
        answer(f"       expected  {_cut(finding.expected)}")
    for warning in finding.warnings:
        answer(f"       {'!' if warning.severe else '~'} {warning.code}: {warning.text}")
    answer()


def _cut(record: str) -> str:
    return record if len(record) <= 100 else f"{record[:60]}…{record[-25:]}"
