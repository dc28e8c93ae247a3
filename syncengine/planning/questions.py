"""What only a person can tell about the columns of a source: asked in the plan, never guessed."""

from collections.abc import Collection, Iterator, Mapping

from syncengine.normalise.mapping import VariableRule
from syncengine.normalise.values import ISO, DateEvidence

CLEARLY_DATES = 0.9  #: share of the filled cells from which a column is told to be one of dates


def date_questions(
    rules: Collection[VariableRule], evidence: Mapping[str, DateEvidence], undecided: Collection[str]
) -> Iterator[str]:
    """A sentence for each variable of `undecided` that would be sent as text though its cells look like dates."""
    for rule in rules:
        found = evidence.get(rule.name)
        if found is None or rule.type is not None or rule.name not in undecided:
            continue
        if pairs := found.questions():
            yield _order_question(rule, found, pairs[0])
        elif (formats := found.formats()) and found.share(formats) >= CLEARLY_DATES:
            yield _format_question(rule, found, formats)


def _order_question(rule: VariableRule, found: DateEvidence, pair: tuple[str, str]) -> str:
    example = _example(found, pair[0])
    return (
        f"question: {rule.name} has dates such as {example}: is the day first, or the month? Until the config says "
        f'so they are sent as text: {rule.name} = {_line(rule, (pair[0],))} or formats = ["{pair[1]}"]'
    )


def _format_question(rule: VariableRule, found: DateEvidence, formats: tuple[str, ...]) -> str:
    return (
        f"question: {rule.name} looks like dates ({found.share(formats):.0%} of its values, such as "
        f"{_example(found, formats[0])}) and would be sent as text; as dates: {rule.name} = {_line(rule, formats)}"
    )


def _example(found: DateEvidence, format_: str) -> str:
    return next((text for one, text in found.examples.items() if one != ISO and one.startswith(format_)), "")


def _line(rule: VariableRule, formats: tuple[str, ...]) -> str:
    listed = ", ".join(f'"{one}"' for one in formats)
    return f'{{ column = "{rule.column}", type = "date", formats = [{listed}] }}'
