"""The shape of a preset: what its file may say."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from syncengine.model import VariableType
from syncengine.normalise.mapping import OnError, Several

Headers = Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
Words = Annotated[tuple[str, ...], Field(strict=False)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Detection(_Table):
    """How a file is recognised.

    any_of      groups of tell-tale headers; the share of the best group that the file has is the score
    file        globs its name usually matches: decides between presets that score alike
    """

    any_of: Annotated[tuple[Headers, ...], Field(min_length=1, strict=False)]
    file: Words = ()


class ReadingHints(_Table):
    """How a file is read, where the config does not say.

    encodings       tried in this order when the bytes are not UTF-8
    separators      what the CRM writes; another one means that the file was saved again by a spreadsheet
    html_table      the CRM calls a web page .xls
    unescape_html   cells hold &quot; and its like
    footer          beginnings of lines below the table
    member          which files of a zip are the export, as a glob
    expects         globs of the files that belong together: without them the opt-outs are not known
    columns, file_column   of several files: see `sources.SourceOptions`
    """

    encodings: Words = ()
    separators: Words = ()
    html_table: bool = False
    unescape_html: bool = False
    footer: Words = ()
    member: str | None = None
    columns: Literal["same", "union"] = "same"
    file_column: str | None = None
    expects: Words = ()


class EmailHints(_Table):
    """Columns that may hold the address, best first, and what a cell with several addresses means."""

    columns: Headers
    several: Annotated[Several, Field(strict=False)] = Several.HOLD


class ColumnHint(_Table):
    """A variable: the headers it may have, first come, and its type where that is sure."""

    column: Headers
    type: Annotated[VariableType | None, Field(strict=False)] = None
    phone: bool | None = None
    on_error: Annotated[OnError, Field(strict=False)] = OnError.HOLD

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        """`"City"` and `["City", "Ort"]` mean `{ column = … }`."""
        if isinstance(value, str):
            return {"column": (value,)}
        if isinstance(value, list):
            return {"column": tuple(value)}
        if isinstance(value, dict) and isinstance(value.get("column"), str):
            return {**value, "column": (value["column"],)}
        return value


class ConsentHint(_Table):
    """A column that speaks against mailing somebody.

    action   "opt_out": the person is not subscribed · "hold": the row is not looked at further
    """

    column: Headers
    is_: Annotated[Words, Field(alias="is")] = ()
    is_not: Words = ()
    like: Words = ()
    not_empty: bool = False
    yes: bool = False
    action: Literal["opt_out", "hold"] = "opt_out"

    @field_validator("column", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if sum(map(bool, (self.is_, self.is_not, self.like, self.not_empty, self.yes))) != 1:
            raise ValueError("needs exactly one of is, is_not, like, not_empty = true, yes = true")
        return self


class Preset(_Table):
    """One CRM's export.

    export       how a person gets the file, in one line
    preview      headers or words in it are from hearsay: look twice
    opt_out      what becomes of opt-outs, for people
    no_opt_out   what to say loudly when the file lacks the first of the opt-out columns, which is the CRM's own
    full_name    columns for the contact's own name
    columns      variable → where it comes from; columns that are neither here nor in `drop` are offered, not taken
    warn         said with every file
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,40}$")]
    title: str
    export: str
    preview: bool = False
    detect: Detection
    read: ReadingHints = ReadingHints()
    email: EmailHints
    id: Words = ()
    full_name: Words = ()
    dates: Words = ()
    columns: dict[str, ColumnHint] = {}
    drop: Words = ()
    consent: Annotated[tuple[ConsentHint, ...], Field(strict=False)] = ()
    opt_out: str
    no_opt_out: str = ""
    sentinels: Words = ()
    warn: Words = ()

    @field_validator("id", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value
