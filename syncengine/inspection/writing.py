"""The config that fits a file, as text: it works as it stands, and says of each line why it is there. Pure."""

import re
from collections.abc import Iterator, Sequence

from syncengine.errors import SourceError
from syncengine.inspection import Inspection
from syncengine.inspection.deciding import Column, Use
from syncengine.model import LIST_TO_FILL_IN, Consent
from syncengine.normalise.mapping import HoldRule, OnError, Several, VariableRule
from syncengine.normalise.mapping import Mapping as RowMapping
from syncengine.normalise.names import toml_string

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  #: in comments only: texts have them escaped
_DATED = re.compile(r"\d{4}[-_.]?\d{2}[-_.]?\d{2}(?:[-_T]?\d{4,6})?|\d{8,}")
_COMMENT = 48  #: column in which the comments behind a line start
_CONSENT = """\
# Who decides who is subscribed? It has no default, because the wrong one mails people who left.
#   "keep"    SmartSender decides: who unsubscribed there stays unsubscribed; this file may only unsubscribe people.
#   "source"  this file decides: whom it calls subscribed is subscribed, also if they left in SmartSender."""


def config_text(seen: Inspection, *, source: str, job: str, list_id: str | None, consent: Consent) -> str:
    """A whole `syncengine.toml` for the file that was inspected.

    source    its path as the config shall have it
    list_id   None: to be filled in

    Raises SourceError if no column holds addresses.
    """
    mapping = seen.decision.mapping
    if mapping is None:
        raise _no_address(seen)
    lines = [
        *_head(seen, source),
        "",
        "[account]",
        _with('token = "${SMARTSENDER_TOKEN}"', "from the environment; the secret itself never stands here"),
        "",
        *_job(mapping, job=job, list_id=list_id, consent=consent),
        "",
        *_source(seen, source),
        "",
        *_columns(seen, mapping),
        "",
        *_rules("opt_out", "Not subscribed, whatever else is said of them:", mapping.opt_outs),
        *_rules("hold", "Not looked at:", mapping.holds),
        *_variables(seen, mapping),
        "",
        "# Next:  syncengine check    is everything in place?",
        f"#        syncengine plan {job}    what would change; sends nothing",
    ]
    return _CONTROL.sub("\ufffd", "\n".join(lines) + "\n")


def _head(seen: Inspection, source: str) -> Iterator[str]:
    columns = len(seen.decision.columns)
    title = f", {seen.match.preset.title}" if seen.match else ""
    yield f"# Written by `syncengine init` for {source}: {seen.rows:,} rows, {columns} columns{title}."
    yield "# Change what you like; `syncengine check` says what is wrong. A line in # is switched off."
    for warning in seen.warnings:
        yield "#"
        yield from _wrapped("! " + warning)


def _job(mapping: RowMapping, *, job: str, list_id: str | None, consent: Consent) -> Iterator[str]:
    yield "[[job]]"
    yield f"name = {toml_string(job)}"
    where = "the id in the address of the list's page in SmartSender"
    yield _with(f"list = {toml_string(list_id or LIST_TO_FILL_IN)}", where if list_id else f"fill in: {where}")
    yield ""
    yield _CONSENT
    yield f"consent = {toml_string(consent.value)}"
    yield ""
    yield _with('mode = "upsert"', '"mirror" also unsubscribes who is no longer in the file')
    if mapping.sentinels:
        words = ", ".join(map(toml_string, mapping.sentinels))
        yield _with(f"sentinels = [{words}]", "stand for an empty cell")


def _source(seen: Inspection, source: str) -> Iterator[str]:
    options, facts = seen.options, seen.described.facts
    yield "[job.source]"
    glob = _DATED.sub("*", source) if _DATED.search(source) else "exports/*.csv"
    yield _with(f"path = {toml_string(source)}", f"a glob takes the newest file: {toml_string(glob)}")
    encoding, _, how = facts.get("encoding", "").partition(" (")
    if options.encoding or how.startswith(("a guess", "expected")):
        sample = facts.get("sample", "")
        yield _with(f"encoding = {toml_string(options.encoding or encoding)}", f"makes {sample!r} of one value")
    if options.separator:
        yield f"separator = {toml_string(options.separator)}"
    if options.skip_rows:
        yield f"skip_rows = {options.skip_rows}"
    if options.member and facts.get("packed", "").startswith("zip"):
        yield _with(f"member = {toml_string(options.member)}", "which files inside the zip")
    if options.sheet:
        yield f"sheet = {toml_string(options.sheet)}"
    if options.columns == "union":
        yield _with('columns = "union"', "what one of the files lacks is empty there")
    if options.file_column:
        yield _with(f"file_column = {toml_string(options.file_column)}", "says which file a row is from")
    if options.footer_texts:
        yield f"footer = [{', '.join(map(toml_string, options.footer_texts))}]"
    if options.unescape_html:
        yield _with("unescape_html = true", "cells hold &quot; and its like")


def _columns(seen: Inspection, mapping: RowMapping) -> Iterator[str]:
    yield "[job.columns]"
    names = [toml_string(column) for column in mapping.email.columns]
    email = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    if mapping.email.several is not Several.HOLD:
        email = f"{{ column = {email}, several = {toml_string(mapping.email.several.value)} }}"
    yield _with(f"email = {email}", "the first with an address that can be sent counts" if len(names) > 1 else "")
    if any(column.profile.several for column in seen.decision.used(Use.EMAIL, Use.FALLBACK)):
        yield '#   of several addresses in one cell: several = "hold" the row, take the "first", or "all" as contacts'
    if mapping.name is not None:
        yield f"name = {toml_string(mapping.name)}"
    if mapping.active.column is not None:
        yield f"active = {toml_string(mapping.active.column)}"
    else:
        yield _with("active = true", "everybody, but for who opted out below" if mapping.opt_outs else "everybody")


def _rules(table: str, title: str, rules: Sequence[HoldRule]) -> Iterator[str]:
    if rules:
        yield f"# {title}"
    for rule in rules:
        yield f"[[job.{table}]]"
        yield f"column = {toml_string(rule.column)}"
        yield _condition(rule)
        yield ""


def _condition(rule: HoldRule) -> str:
    if rule.yes:
        return "yes = true"
    if rule.not_empty:
        return "not_empty = true"
    name, words = next(
        (name, words) for name, words in (("is", rule.values), ("is_not", rule.none_of), ("like", rule.like)) if words
    )
    return f"{name} = [{', '.join(map(toml_string, words))}]"


def _variables(seen: Inspection, mapping: RowMapping) -> Iterator[str]:
    yield "# What the list keeps of a contact: variable = column"
    yield "[job.variables]"
    rules = {rule.column: rule for rule in mapping.variables}
    for column in seen.decision.used(Use.VARIABLE):
        yield _with(_variable(rules[column.header]), _filled(column))
    for column in seen.decision.used(Use.QUESTION):
        yield from _question(column)
    if offered := seen.decision.used(Use.OFFERED):
        yield "# The file has these too:"
        yield from (f"# {_with(_offered(column), _filled(column))}" for column in offered)
    for title, use in (("Empty", Use.EMPTY), ("Left out", Use.DROPPED)):
        if left := seen.decision.used(use):
            yield from _wrapped(f"{title}: {', '.join(column.header for column in left)}")


def _variable(rule: VariableRule) -> str:
    parts = [f"column = {toml_string(rule.column)}"]
    if rule.type is not None:
        parts.append(f"type = {toml_string(rule.type.value)}")
    if rule.formats:
        parts.append(f"formats = [{', '.join(map(toml_string, rule.formats))}]")
    if rule.on_error is not OnError.HOLD:
        parts.append(f"on_error = {toml_string(rule.on_error.value)}")
    if len(parts) == 1:
        return f"{rule.name} = {toml_string(rule.column)}"
    return f"{rule.name} = {{ {', '.join(parts)} }}"


def _offered(column: Column) -> str:
    if column.kind != "date":
        return f"{column.name} = {toml_string(column.header)}"
    formats = f", formats = [{', '.join(map(toml_string, column.formats))}]" if column.formats else ""
    return f'{column.name} = {{ column = {toml_string(column.header)}, type = "date"{formats} }}'


def _question(column: Column) -> Iterator[str]:
    yield f"# QUESTION: in {toml_string(column.header)}, {column.note} Take one of the two lines:"
    for form, order in zip(column.formats, ("day first", "month first"), strict=True):
        line = f'{column.name} = {{ column = {toml_string(column.header)}, type = "date", formats = ["{form}"] }}'
        yield f"# {_with(line, order)}"


def _filled(column: Column) -> str:
    share = column.profile.filled / column.profile.rows if column.profile.rows else 0
    return " · ".join(part for part in (f"{share:.0%} filled", column.note) if part)


def _with(line: str, comment: str) -> str:
    return f"{line:<{_COMMENT - 2}}  # {comment}" if comment else line


def _wrapped(text: str, width: int = 116) -> Iterator[str]:
    line = "#"
    for word in text.split():
        if len(line) + len(word) >= width:
            yield line
            line = "#  "
        line += " " + word
    yield line


def _no_address(seen: Inspection) -> SourceError:
    headers = ", ".join(column.header for column in seen.decision.columns[:30])
    return SourceError(
        f"{seen.source}: no column holds e-mail addresses",
        why=f"it has: {headers}",
        fix="export it with the addresses; if it was misread, name encoding, separator or preset: --separator ';'",
        code="no-addresses",
    )
