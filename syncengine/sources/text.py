"""The text of a content as UTF-8, stretch by stretch, whatever encoding it is in.

A sequence that is invalid in the source's encoding becomes the byte 0xFF, which no UTF-8 text contains: whoever reads
on holds that row. U+FFFD is never put in its place, or it would be sent.
"""

import codecs
from collections.abc import Callable
from typing import Final

from syncengine.errors import SourceError
from syncengine.sources.content import RawBytes
from syncengine.sources.encoding import SAMPLE, Encoding

INVALID: Final = b"\xff"
_PIECE: Final = 64 << 10
_MAX_INVALID: Final = _PIECE // 64  #: in one piece; a text with more is in another encoding, or is no text


class Transcoder:
    """Bytes in one encoding → UTF-8, piece by piece, remembering where what was invalid came from."""

    def __init__(self, codec: str, *, shown: str, start: int = 0) -> None:
        self._codec = codec
        self._shown = shown
        self._decoder = codecs.getincrementaldecoder(codec)("strict")
        self._read = self._written = start  # the same number: what came before was ASCII
        self.origins: dict[int, int] = {}  #: place of each 0xFF in the output → offset in the input

    def feed(self, data: bytes, *, final: bool) -> bytes:
        """Raises SourceError if the text is plainly not in this encoding."""
        pieces = []
        for start in range(0, max(len(data), 1), _PIECE):
            piece = data[start : start + _PIECE]
            pieces.append(self._piece(piece, final=final and start + _PIECE >= len(data)))
            self._read += len(piece)
        return b"".join(pieces)

    def _piece(self, piece: bytes, *, final: bool) -> bytes:
        held_back = bytes(self._decoder.getstate()[0])
        try:
            done = self._decoder.decode(piece, final).encode()
        except UnicodeDecodeError:
            self._decoder.reset()
            done = self._around_errors(held_back + piece, self._read - len(held_back), final=final)
        self._written += len(done)
        return done

    def _around_errors(self, data: bytes, offset: int, *, final: bool) -> bytes:
        pieces: list[bytes] = []
        written = self._written
        at = 0
        for _ in range(_MAX_INVALID):
            try:
                return b"".join([*pieces, self._decoder.decode(data[at:], final).encode()])
            except UnicodeDecodeError as error:
                self._decoder.reset()
                pieces += [codecs.decode(data[at : at + error.start], self._codec).encode(), INVALID]
                written += len(pieces[-2]) + 1
                self.origins[written - 1] = offset + at + error.start
                at += max(error.end, error.start + 1)
        raise SourceError(
            f"{self._shown} is not {self._codec}",
            why=f"{_MAX_INVALID:,} sequences near byte {offset + at:,} are invalid in it",
            fix='if it is a text, name the encoding it is in: source = { path = "…", encoding = "utf-8" }; '
            "else export again as CSV or xlsx",
            code="encoding-wrong",
        )


class Text:
    """One pass over a text. `encoding` may be None (ASCII so far); it is decided at the first byte that is not."""

    def __init__(
        self, raw: RawBytes, encoding: Encoding | None, decide: Callable[[bytes], Encoding | None], *, shown: str
    ) -> None:
        self._raw = raw
        self._decide = decide
        self._shown = shown
        self.encoding = encoding
        self.position = 0  #: place of the last stretch in the text, bytes of UTF-8
        self._last = 0  # its length
        self._kept = b""  # it, where it can't be read again
        self._reread = 0
        self._transcoder: Transcoder | None = None
        self._shift = encoding.mark if encoding else 0
        raw.skip(self._shift)
        if encoding is not None and not encoding.utf8:
            self._transcoder = Transcoder(encoding.codec, shown=shown)

    @property
    def ended(self) -> bool:
        """Whether the last stretch was the last, and nothing of it is to be given again."""
        return self._raw.ended and not self._reread

    def skip(self, count: int) -> None:
        """Leave out the first `count` bytes of UTF-8; only before the first `take`."""
        if self._transcoder is None:
            self._raw.skip(count)
            self.position = count
        while self._transcoder is not None and count and (data := self.take(0)):
            self._reread = max(0, len(data) - count)
            count -= len(data) - self._reread

    def take(self, unread: int) -> bytes:
        """The next stretch of UTF-8, beginning with the last `unread` bytes of the one before; empty at the end.

        Raises SourceError if the content can't be read, is no text, or changed.
        """
        unread, self._reread = unread + self._reread, 0
        self.position += self._last - unread
        data = self._utf8(unread) if self._transcoder is None else self._transcoded(self._transcoder, unread)
        self._last = len(data)
        return data

    def file_offsets(self) -> Callable[[int], int | None]:
        """For the last stretch: where a byte of the text stands in the (unpacked) file, so that an editor can go there.

        In a text that is not UTF-8 this is known of invalid sequences only.
        """
        shift = self._shift
        if self._transcoder is None:
            return lambda place: shift + place
        origins = {place: shift + offset for place, offset in self._transcoder.origins.items()}
        return origins.get

    def _utf8(self, unread: int) -> bytes:
        data = self._raw.take(unread)
        if self.encoding is not None or data.isascii():
            return data
        self.encoding = self._decide(_from_first_high(data))
        if self.encoding is None or self.encoding.utf8:
            return data
        self._transcoder = Transcoder(self.encoding.codec, shown=self._shown, start=self.position)
        self._kept = self._transcoder.feed(data, final=self._raw.ended)
        return self._kept

    def _transcoded(self, transcoder: Transcoder, unread: int) -> bytes:
        for place in [place for place in transcoder.origins if place < self.position]:
            del transcoder.origins[place]
        fresh = transcoder.feed(self._raw.take(0), final=self._raw.ended)
        self._kept = self._kept[len(self._kept) - unread :] + fresh
        return self._kept


def _from_first_high(data: bytes) -> bytes:
    """The sample that decides, from the line on which the first byte beyond ASCII stands."""
    low, high = 0, len(data)
    while high - low > 1:  # the longest ASCII beginning, by halves: isascii() runs at 10 GB/s, a regex doesn't
        middle = (low + high) // 2
        low, high = (middle, high) if data[:middle].isascii() else (low, middle)
    return data[data.rfind(b"\n", 0, low) + 1 :][:SAMPLE]
