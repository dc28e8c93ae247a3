"""A job's source, opened: what the config says of it, and where it says nothing, the preset.

What reads rows, and the presets, are loaded when they are needed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from syncengine.config.model import Job, PresetJob, SourceTable
from syncengine.digests import KnowsDigests
from syncengine.sources.options import SourceOptions

if TYPE_CHECKING:
    from syncengine.ports import Source
    from syncengine.presets import Preset


def preset_of(job: Job, base: Path) -> "Preset | None":
    """The preset a job names, ours or one of `base`/presets. Raises ConfigError."""
    if not isinstance(job, PresetJob):
        return None
    from syncengine.presets import load_presets, preset_named  # noqa: PLC0415  # a dozen files

    return preset_named(job.preset, load_presets(base))


def source_of(job: Job, base: Path, preset: "Preset | None", ahead: KnowsDigests | None = None) -> "Source":
    """The source of a job, opened: its header is read, its rows are not. Raises SourceError."""
    from syncengine.sources.open import open_source  # noqa: PLC0415  # polars

    return open_source(options_of(job.source, base, preset), ahead)


def options_of(written: str | SourceTable, base: Path, preset: "Preset | None") -> SourceOptions:
    """How to read a source. Whatever is written wins over the preset."""
    written = SourceTable(path=written) if isinstance(written, str) else written
    settings: dict[str, Any] = {
        "format": written.format,
        "encoding": written.encoding,
        "separator": written.separator,
        "pick": written.pick,
        "skip_rows": written.skip_rows,
        "sheet": written.sheet,
    }
    hints = preset_options(preset) if preset is not None else {}
    told = written.model_fields_set
    for name in ("member", "unescape_html", "columns", "file_column"):
        settings[name] = getattr(written, name) if name in told or name not in hints else hints[name]
    if "footer" in told or preset is None:
        hints["footer_texts"] = tuple(written.footer)
    return SourceOptions(written.path, base, **{**hints, **settings})


def preset_options(preset: "Preset") -> dict[str, Any]:
    """What a preset says about reading, as keywords of `SourceOptions`."""
    read = preset.read
    return {
        "encodings": read.encodings,
        "footer_texts": read.footer,
        "html_table": read.html_table,
        "unescape_html": read.unescape_html,
        "member": read.member,
        "columns": read.columns,
        "file_column": read.file_column,
    }
