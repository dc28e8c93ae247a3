"""Whatever code the program can print is explained: the codes are gathered from the source itself."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import syncengine
from syncengine import catalogue, endings, errors
from syncengine.errors import SyncEngineError
from syncengine.normalise.names import NameCollision

PACKAGE = Path(syncengine.__path__[0])
ELSEWHERE = ("sandbox", "simulation", "testing", "sources/held")
"""Modules that speak in the service's name, in no user's presence, or mean something else by a verdict."""

BY_PLACE = {
    "Fatal": 0, "Refused": 0, "_Fault": 0, "Verdict": 1, "unresolved": 1, "reject": 2, "_held_as": 1,
    "warn": 0, "object_to": 0,
}  #: calls that take a code without its name: where it stands  # fmt: skip

MADE_UP = {
    ("connecting", "f'{name}-missing'"): ("key-missing", "secret-missing"),
    ("connecting", "f'{name}-shape'"): ("key-shape", "secret-shape"),
    ("destinations/_answers", "read_text(fatal).code"): ("token-refused", "list-refused"),
    ("mailing/recipients", "str(found['code'])"): ("email-invalid", "email-empty"),
    ("normalise/names", "faults[0].code"): ("name-collision", "name-invalid", "name-reserved"),
    ("normalise/names", "_COLLISION"): ("name-collision",),
    ("settlement/ours", "_CODES[case.terms.on_exists]"): ("consent-unknown", "perhaps-ours"),
    ("settlement/updating", "'not-found' if case.terms.known else 'not-on-list'"): ("not-found", "not-on-list"),
    ("dispatch/consent", "SUPPRESSED"): ("suppressed",),
    ("settlement/case", "code or complaint.reading.code"): ("unknown-text",),
    ("prepare", "stopped.code"): ("max-missing",),
    ("smartersends/client", "found.code"): ("tls", "download-url"),
    ("smartersends/replies", "reply.code"): ("tls", "redirected"),
}  #: codes that are put together as the program runs, and what they can be

NO_SOURCE = {"select", "with_columns", "info", "warning", "error", "drop_refusals"}
"""Calls whose `code` is a column, or was given before."""

PASSED_ON = {"code", "rule.code"}  #: an argument of the same name: its callers are looked at


@dataclass(frozen=True, slots=True)
class Use:
    """A code in the source: a constant, or an expression."""

    where: str
    code: str
    constant: bool
    by: str


def uses() -> Iterator[Use]:
    for path in sorted(PACKAGE.rglob("*.py")):
        where = path.relative_to(PACKAGE).with_suffix("").as_posix()
        if not where.startswith(ELSEWHERE):
            for call in ast.walk(ast.parse(path.read_text())):
                if isinstance(call, ast.Call):
                    yield from (_use(where, call, node) for node in _codes_of(where, call))


def _codes_of(where: str, call: ast.Call) -> Iterator[ast.expr]:
    name = _name(call)
    if name in NO_SOURCE:
        return
    yield from (one.value for one in call.keywords if one.arg == "code")
    if name in BY_PLACE and len(call.args) > BY_PLACE[name]:
        yield call.args[BY_PLACE[name]]
    if name == "append" and where.startswith("domains/") and isinstance(call.args[0], ast.Tuple):
        yield call.args[0].elts[0]
    if name == "alias" and [ast.unparse(argument) for argument in call.args] == ["CODE"]:
        literal = call.func.value if isinstance(call.func, ast.Attribute) else None
        if isinstance(literal, ast.Call) and ast.unparse(literal.func) == "pl.lit":
            yield literal.args[0]


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _use(where: str, call: ast.Call, node: ast.expr) -> Use:
    if isinstance(node, ast.Constant):
        return Use(where, str(node.value or ""), True, _name(call))
    return Use(where, ast.unparse(node), False, _name(call))


USES = [use for use in uses() if use.code]
CONSTANT = sorted({use.code for use in USES if use.constant})


def test_the_look_at_the_source_finds_codes_of_all_kinds() -> None:
    assert {"max-shrink", "source-changed", "redirected", "rename-swap", "duplicate", "spf-all", "no-answer"} <= {
        *CONSTANT
    }


@pytest.mark.parametrize("code", CONSTANT)
def test_a_code_that_stands_in_the_source_is_explained(code: str) -> None:
    assert code in catalogue.BY_CODE or code in endings.BY_CODE


def test_a_code_that_is_put_together_is_one_of_those_explained() -> None:
    made = {(use.where, use.code) for use in USES if not use.constant and use.code not in PASSED_ON}
    of_keys = {one for one in made if one[0] == "domains/keys"}

    assert {one for one in made - of_keys if one not in MADE_UP} == set()
    assert [code for codes in MADE_UP.values() for code in codes if not _is_explained(code)] == []
    faults = [code.removeprefix("f'{code}-").removesuffix("'") for _, code in of_keys]
    assert [f for f in faults if not (_is_explained(f"dkim-{f}") and _is_explained(f"domainkey-{f}"))] == []


def _is_explained(code: str) -> bool:
    return code in catalogue.BY_CODE or code in endings.BY_CODE


def kinds(of: type[SyncEngineError] = SyncEngineError) -> Iterator[type[SyncEngineError]]:
    yield of
    for kind in of.__subclasses__():
        yield from kinds(kind)


@pytest.mark.parametrize("kind", sorted({*kinds(), NameCollision}, key=lambda one: one.__name__))
def test_an_error_without_a_code_of_its_own_is_explained_by_its_kind(kind: type[SyncEngineError]) -> None:
    assert endings.BY_CODE[kind.default_code].exit_code == kind.exit_code


@pytest.mark.parametrize("use", [use for use in USES if use.constant and hasattr(errors, use.by)], ids=lambda u: u.code)
def test_the_exit_code_that_is_told_is_the_one_of_the_error(use: Use) -> None:
    assert endings.BY_CODE[use.code].exit_code == getattr(errors, use.by).exit_code


@pytest.mark.parametrize("text", catalogue.TEXTS, ids=lambda text: text.code)
def test_what_a_text_of_the_service_leads_to_is_explained(text: catalogue.Text) -> None:
    assert _is_explained(text.code)


def test_each_ending_is_explained_once_with_meaning_and_advice() -> None:
    assert len(endings.BY_CODE) == len(endings.ENDINGS)
    assert [one.code for one in endings.ENDINGS if not one.meaning or not one.advice] == []


def test_nothing_is_explained_that_nobody_can_meet() -> None:
    made = {code for codes in MADE_UP.values() for code in codes}
    by_kind = {kind.default_code for kind in {*kinds(), NameCollision}}
    elsewhere = "\n".join(
        path.read_text() for path in PACKAGE.rglob("*.py") if path.name not in {"endings.py", "catalogue.py"}
    )
    met = {*CONSTANT, *made, *by_kind}

    stale = [one.code for one in endings.ENDINGS if one.code not in met and f'"{one.code}"' not in elsewhere]
    assert [code for code in stale if not code.startswith(("dkim-", "domainkey-")) and code != "answer-lost"] == []
