"""From a job's config and its source's header to what each column means. Raises SourceError and ConfigError."""

from collections.abc import Mapping
from dataclasses import replace

from syncengine.config.model import Job
from syncengine.errors import ConfigError
from syncengine.meaning import Header, meaning_of
from syncengine.model import Variable, VariableType
from syncengine.normalise.mapping import EmailRule, Several, VariableRule
from syncengine.ports import Source
from syncengine.prepare import Understood
from syncengine.presets import Preset
from syncengine.spread_rows import SpreadRows


def understand(
    job: Job,
    source: Source,
    *,
    names: Mapping[str, str],
    variables: Mapping[str, Variable],
    preset: Preset | None = None,
) -> tuple[Understood, Mapping[str, str]]:
    """What the columns of `source` mean for `job`, and the variable each was given (to be stored).

    names      column → variable, as chosen in earlier runs
    variables  variables the list is known to have; the type of one that exists is not decided again
    preset     the one that `job` names
    """
    header = Header(source.name, source.columns, source.describe().files if preset is not None else ())
    meant = meaning_of(job, header, names=names, preset=preset)
    typed = replace(meant.mapping, variables=tuple(_typed(rule, variables) for rule in meant.mapping.variables))
    spread = _spread(meant.job, source, typed.email)
    return Understood(spread, typed, meant.digest, meant.mapping_json, meant.notes), meant.names


def _spread(job: Job, source: Source, email: EmailRule) -> Source:
    """The source with a row for each address of a cell, where the config wants all of them."""
    if email.several is not Several.ALL:
        return source
    if job.key != "email":
        raise ConfigError(
            f'the job "{job.name}" can\'t take all addresses of a cell',
            why=f'its contacts are identified by the column "{job.key}", so that each can have one address only',
            fix='several = "first", or key = "email"',
            code="several-addresses",
        )
    return SpreadRows(source, email.columns)


def _typed(rule: VariableRule, known: Mapping[str, Variable]) -> VariableRule:
    """A variable the list has as a date takes dates only, whatever this run's values look like."""
    there = known.get(rule.name)
    is_date = rule.type is None and there is not None and there.type is VariableType.DATE
    return replace(rule, type=VariableType.DATE) if is_date else rule
