"""`inspect FILE`: what is in a file."""

import json
from typing import TYPE_CHECKING, Any

import click

from syncengine.cli._exit import SCHEMA_VERSION
from syncengine.cli._file import file_options, look_at
from syncengine.cli._options import json_option
from syncengine.cli._render import answer, print_table

if TYPE_CHECKING:
    from syncengine.inspection import Column, HeldRows, Inspection

_SHOWN = 30  #: columns shown without --all


@click.command("inspect")
@file_options
@json_option
@click.option("--all", "every", is_flag=True, help="Show every column, the empty and dropped ones too.")
def command(file: str, *, as_json: bool, every: bool, **how: Any) -> int:
    """Look at FILE: dialect, encoding, columns and how full they are, the variables they would become, what would be
    held and why. No config is needed, and nothing is sent.

    \b
    syncengine inspect export.csv
    syncengine inspect export.csv --encoding cp1251 --all
    """
    seen = look_at(file, **how)
    if as_json:
        answer(json.dumps({"schema_version": SCHEMA_VERSION, **seen.to_json()}, ensure_ascii=False))
        return 0
    for line in _head(seen):
        answer(line)
    _table(seen, every=every)
    answer()
    for line in _foot(seen):
        answer(line)
    return 0


def _head(seen: "Inspection") -> list[str]:
    facts = dict(seen.described.facts)
    lines = [
        f"{seen.source}   {_size(seen.described.size)} · {seen.rows:,} rows · {len(seen.decision.columns)} columns",
        f"{'Looks like':<13}{_looks_like(seen)}",
        f"{'Read as':<13}{_read_as(seen.described.format, facts)}",
    ]
    if "sample" in facts:
        proven = any(word in facts["encoding"] for word in ("(valid)", "(byte order mark)"))
        wrong = "" if proven else "   wrong? --encoding cp1252 / cp1251 / …"
        lines.append(f'{"":<13}first value beyond ASCII: "{facts["sample"]}"{wrong}')
    lines += [f"{'':<13}{name}: {facts[name]}" for name in ("footer", "skipped", "blank lines") if name in facts]
    if len(seen.described.files) > 1:
        lines.append(f"{'':<13}{len(seen.described.files)} files: {', '.join(seen.described.files)}")
    return [*lines, ""]


def _looks_like(seen: "Inspection") -> str:
    if seen.match is None:
        return "no export we know"
    match = seen.match
    preview = ", preview" if match.preset.preview else ""
    return f"{match.preset.title} (preset {match.preset.name}{preview}; {match.known} of {match.of} columns known)"


def _read_as(format_: str, facts: dict[str, str]) -> str:
    told = [
        format_,
        *(facts[name] for name in ("encoding", "separator", "line ends", "sheet", "packed") if name in facts),
    ]
    return " · ".join(told)


def _table(seen: "Inspection", *, every: bool) -> None:
    from syncengine.inspection import Use  # noqa: PLC0415  # see above

    columns = seen.decision.columns
    hidden = () if every else (Use.EMPTY, Use.DROPPED)
    shown = [column for column in columns if column.use not in hidden]
    shown = shown if every else shown[:_SHOWN]
    rows = [[column.header, _filled(column), _variable(column), column.kind, column.note] for column in shown]
    print_table(["COLUMN", "FILLED", "VARIABLE", "KIND", "NOTE"], rows, right=[1])
    if len(shown) < len(columns):
        answer(f"  … {len(columns) - len(shown)} more, empty or left out (--all)")


def _filled(column: "Column") -> str:
    return f"{column.profile.filled / column.profile.rows:.1%}" if column.profile.rows else "-"


def _variable(column: "Column") -> str:
    from syncengine.inspection import Use  # noqa: PLC0415  # see above

    match column.use:
        case Use.VARIABLE:
            return column.name
        case Use.QUESTION:
            return f"{column.name} ?"
        case Use.OFFERED:
            return f"({column.name})"
        case Use.EMPTY | Use.DROPPED:
            return "left out"
        case _:
            return str(column.use.value)


def _foot(seen: "Inspection") -> list[str]:
    lines = [f"! {warning}" for warning in seen.warnings]
    if seen.decision.mapping is None:
        lines.append("! no column holds e-mail addresses: there is nobody to send to")
    else:
        lines.append(f"Held if sent now: {'' if seen.held else 'nothing'}".rstrip())
        lines += [f"{held.count:>9,} {code:<18}{_where(held)}" for code, held in seen.held.items()]
        lines.append(f"Next: syncengine init {_quoted(seen.source)}")
    return lines


def _where(held: "HeldRows") -> str:
    rows = ", ".join(f"{row:,}" for row in held.first)
    return f"row{'s' if held.count > 1 else ''} {rows}{' …' if held.count > len(held.first) else ''}: {held.reason}"


def _quoted(path: str) -> str:
    import shlex  # noqa: PLC0415  # only here

    return shlex.quote(path)


def _size(size: int) -> str:
    for limit, unit in ((1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB")):
        if size >= limit:
            return f"{size / limit:.1f} {unit}"
    return f"{size} bytes"
