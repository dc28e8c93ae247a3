"""A source as far as can be told without anything that is slow to load: the header of one plain delimited file."""

import os
from dataclasses import dataclass

from syncengine.digests import KnowsDigests
from syncengine.sources.content import PlainFile
from syncengine.sources.files import LocalFile, digest, find_files
from syncengine.sources.heading import read_heading
from syncengine.sources.options import SourceOptions
from syncengine.sources.sniff import HEAD, Kind, sniff


@dataclass(frozen=True, slots=True)
class Glance:
    """What `open_source` would say of the file that these options lead to."""

    options: SourceOptions
    columns: tuple[str, ...]
    file: LocalFile

    def digest(self, ahead: KnowsDigests | None = None) -> str:
        """As that of the source. Raises SourceError if the file is not what was looked at."""
        return self.options.as_read(digest((self.file,), ahead))


def glance(options: SourceOptions) -> Glance | None:
    """None where it takes a source to tell: several files, a format that is no plain text, an object in a store.

    Raises SourceError as `open_source` does.
    """
    if "://" in options.path or options.file_column is not None or options.format not in {None, "csv", "tsv"}:
        return None
    files = find_files(options)
    if len(files) != 1:
        return None
    (file,) = files
    with file.open() as descriptor:
        kind = sniff(os.pread(descriptor, HEAD, 0), file.shown)
    if kind is not Kind.TEXT:
        return None
    return Glance(options, read_heading(PlainFile(file), options).columns.shown, file)
