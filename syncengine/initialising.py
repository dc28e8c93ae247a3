"""`init`: the config that fits a file, written where none is yet."""

import os
from collections.abc import Callable
from pathlib import Path

from syncengine.config.loading import load_config
from syncengine.durable import drafted
from syncengine.errors import ConfigError
from syncengine.inspection import Inspection, Use
from syncengine.inspection.writing import config_text
from syncengine.model import Consent


def write_config(
    look: Callable[[], Inspection],
    target: Path,
    *,
    file: str,
    job: str,
    list_id: str | None,
    consent: str,
    force: bool,
) -> str:
    """Write `target` for what `look` finds in `file`, and say in a sentence what it takes from it.

    It is read back before it stands there. Raises ConfigError if there is one already and not `force`, or a value in it
    can't be right, and what `look` raises.
    """
    if target.exists() and not force:
        raise ConfigError(
            f"{target} is there already",
            why="nothing is overwritten unasked",
            fix="--force overwrites it; -c NAME.toml writes another one",
            code="config-there",
        )
    seen = look()
    source = os.path.relpath(Path(file).absolute(), target.parent)
    text = config_text(seen, source=source, job=job, list_id=list_id, consent=Consent(consent))
    try:
        with drafted(target) as draft:
            draft.write_text(text, encoding="utf-8")
            load_config(draft, {})
    except OSError as error:
        raise ConfigError(
            f"{target} can't be written", why=error.strerror or str(error), code="config-unwritable"
        ) from error
    return _told(seen)


def _told(seen: Inspection) -> str:
    decision = seen.decision
    parts = [f"{len(decision.used(Use.VARIABLE))} variables"]
    for use, word in ((Use.QUESTION, "question to answer in it"), (Use.OPT_OUT, "column of opt-outs")):
        if found := decision.used(use):
            first, _, rest = word.partition(" ")
            parts.append(f"{len(found)} {first}{'s' if len(found) > 1 else ''} {rest}")
    title = seen.match.preset.title if seen.match else "no export we know"
    return f"{title}; {', '.join(parts)}"
