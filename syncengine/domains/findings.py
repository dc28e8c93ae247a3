"""What was found about a domain, as values: one finding a record."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

TXT = "TXT"
MX = "MX"


class Status(StrEnum):
    """How a record stands."""

    OK = "ok"
    WARNING = "warning"  #: mail goes out, and something should be looked at
    PROBLEM = "problem"  #: mail may be refused, or not be sent at all


class Lookup(Protocol):
    """Asks the DNS."""

    def __call__(self, name: str, kind: str) -> tuple[str, ...]:
        """The records of `kind` at `name`; none if there are none, or no such name.

        TXT as one text each, MX as "5 mail.example.com.". Raises UnavailableError where nobody answers.
        """
        ...


@dataclass(frozen=True, slots=True)
class Remark:
    """Something to look at. `code` is stable."""

    code: str
    text: str
    severe: bool = False


@dataclass(slots=True)
class Finding:
    """One record: what was found, what was expected, and what to paste where that differs."""

    name: str
    host: str
    kind: str
    required: bool
    expected: str
    found: tuple[str, ...] = ()
    warnings: list[Remark] = field(default_factory=list)
    value: str | None = None  #: of the record to paste; None where nothing is to be changed

    def warn(self, code: str, text: str) -> None:
        self.warnings.append(Remark(code, text))

    def object_to(self, code: str, text: str) -> None:
        """A warning because of which mail may be refused."""
        self.warnings.append(Remark(code, text, severe=True))

    @property
    def status(self) -> Status:
        if any(warning.severe for warning in self.warnings):
            return Status.PROBLEM
        return Status.WARNING if self.warnings else Status.OK

    @property
    def paste(self) -> str | None:
        """The line for a zone file."""
        if self.value is None:
            return None
        shown = self.value if self.kind == MX else quoted(self.value)
        return f"{self.host}. IN {self.kind} {shown}"

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": self.status.value,
            "required": self.required,
            "host": self.host,
            "type": self.kind,
            "found": list(self.found),
            "expected": self.expected,
            "value": self.value,
            "paste": self.paste,
            "warnings": [{"code": one.code, "text": one.text, "severe": one.severe} for one in self.warnings],
        }


@dataclass(frozen=True, slots=True)
class DomainReport:
    """All findings about a domain."""

    domain: str
    findings: Sequence[Finding]

    @property
    def result(self) -> str:
        """ok, warnings, problems."""
        states = {finding.status for finding in self.findings}
        return "problems" if Status.PROBLEM in states else "warnings" if Status.WARNING in states else "ok"

    def to_json(self) -> dict[str, Any]:
        return {
            "domain": self.domain,
            "result": self.result,
            "checks": [finding.to_json() for finding in self.findings],
        }


def quoted(value: str) -> str:
    """A TXT value for a zone file: in strings of at most 255 bytes (RFC 1035 §3.3)."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return " ".join(f'"{escaped[at : at + 255]}"' for at in range(0, len(escaped), 255)) or '""'
