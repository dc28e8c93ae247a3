"""A record that is longer than the window of the slow path: a large cell, a hundred large cells, a quote left open.

Looked at by itself, from quote to quote, so that a text of two million short lines in one cell takes no more memory
than its bytes.
"""

from enum import StrEnum
from typing import Final

import numpy as np

from syncengine.sources.anatomy import Dissection, Records, resume
from syncengine.sources.bitmap import Places, Words, count, earlier, parity, places_of, where
from syncengine.sources.prescan import CR, LF, QUOTE

_NONE: Final = np.zeros(0, np.int64)


class End(StrEnum):
    """What is found at the end of a record."""

    LINE = "a line end, or the end of the text outside quotes"
    BROKEN = "a quote where none can be"
    OPEN = "no end: a quote is open"
    ENDLESS = "no end: the line goes on"


def dissect_one(data: bytes, *, separator: int, columns: int, ended: bool, whole: bool, window: int) -> Dissection:
    """The first record of `data`. `end` is 0 if its end is not in sight and more may follow.

    `whole`: `data` is as much as is ever looked at, so a record that does not end in it is broken.
    """
    end, state = find_end(data, separator, ended=ended)
    if state is End.LINE:
        return _one(data, separator, end, broken=False)
    if state is End.ENDLESS or (state is End.OPEN and not ended and not whole):
        return Dissection(_nothing(), 0, 0, _NONE)
    line_end = data.find(b"\n") + 1
    if state is End.BROKEN and line_end and not data.count(b'"', 0, line_end) % 2:
        return _one(data, separator, line_end, broken=True)  # as `anatomy` has it: the damage ends with the line
    found = resume(data, separator=separator, columns=columns, ended=ended, window=window)
    if found is not None:
        return _one(data, separator, found[0], broken=True)
    if ended:
        return _one(data, separator, len(data), broken=True)
    if whole:
        return _one(data, separator, len(data), broken=True, lost=True)
    return Dissection(_nothing(), 0, 0, _NONE)


def find_end(data: bytes, separator: int, *, ended: bool) -> tuple[int, End]:
    """The place behind the first record of `data` and what was found there. Linear, with one step a quote."""
    at, quote, line_end = 0, -1, -1
    while True:
        quote = data.find(b'"', at) if quote < at else quote
        line_end = data.find(b"\n", at) if 0 <= line_end < at or not at else line_end
        if line_end >= 0 and not 0 <= quote < line_end:
            return line_end + 1, End.LINE
        if quote < 0:
            return (len(data), End.LINE) if ended else (0, End.ENDLESS)
        if quote and data[quote - 1] != separator:
            return quote, End.BROKEN
        close = _closing(data, quote + 1)
        if close < 0:
            return 0, End.OPEN
        at = close + 1
        if at < len(data) and data[at] not in (separator, LF, CR):
            return at, End.BROKEN


def _closing(data: bytes, at: int) -> int:
    """The quote that closes the cell in which `at` is; -1: none does."""
    while (found := data.find(b'"', at)) >= 0 and data[found + 1 : found + 2] == b'"':
        at = found + 2
    return found


def _one(data: bytes, separator: int, end: int, *, broken: bool, lost: bool = False) -> Dissection:
    text = np.frombuffer(data, np.uint8)[:end]
    inside = parity(where(text, QUOTE))
    fields = 1 + count(where(text, separator) & ~inside)
    lines = data.count(b"\n", 0, end)
    closed = data.endswith(b"\n", 0, end)
    record = Records(
        start=np.zeros(1, np.int64),
        stop=np.array([end - closed]),
        line=np.zeros(1, np.int64),
        last=np.array([max(0, lines - closed)]),
        fields=np.array([fields]),
        broken=np.array([broken]),
    )
    returns = _NONE if broken else _lone_returns(text, inside)
    return Dissection(record, end, lines, returns, lost)


def _lone_returns(text: np.typing.NDArray[np.uint8], inside: Words) -> Places:
    places = places_of(where(text, CR) & ~earlier(where(text, LF)) & ~inside)
    return places[places < text.size - 1]


def _nothing() -> Records:
    return Records(_NONE, _NONE, _NONE, _NONE, _NONE, np.zeros(0, np.bool_))
