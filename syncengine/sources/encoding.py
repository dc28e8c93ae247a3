"""Which encoding a text is in: by mark, by option, by proof, by preset, and only then by guess.

ASCII proves nothing, so nothing is decided until the first byte that is not (see `text`).
"""

import codecs
import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from syncengine.errors import SourceError

SAMPLE: Final = 1 << 20  #: bytes looked at

_MARKS: Final = (  # longest first: the UTF-32 mark begins with the UTF-16 one
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GUESSABLE: Final = (  # what exports come in; each keeps ASCII as it is, so separators and quotes stay put
    *("cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("iso8859-2", "iso8859-5", "iso8859-15", "koi8-r", "koi8-u", "cp866", "cp850", "cp852", "cp437"),
    *("mac-cyrillic", "mac-roman", "gb18030", "big5hkscs", "cp932", "euc-jp", "cp949"),
)
_STATEFUL: Final = re.compile(r"utf-?7|iso2022|hz|idna|punycode|escape|undefined|mbcs|oem", re.IGNORECASE)
_UTF8_SEQUENCE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)  # surrogates and overlong forms pass here: this only weighs, the decoder judges
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
_HIGH: Final = re.compile(rb"[\x80-\xff]")
_CELL: Final = re.compile(r"[^,;|\t\r\n\"<>]*[^\x00-\x7f,;|\t\r\n\"<>][^,;|\t\r\n\"<>]*")


class How(StrEnum):
    """What an encoding was decided by."""

    MARK = "byte order mark"
    OPTION = "set in the config"
    ZEROS = "pattern of zero bytes"
    VALID = "valid"
    MOSTLY = "valid but for a few bytes"
    DECLARED = "declared in the file"
    PRESET = "expected by the preset"
    GUESS = "a guess"


@dataclass(frozen=True, slots=True)
class Encoding:
    codec: str  #: as Python names it
    how: How
    mark: int = 0  #: bytes of byte order mark to leave out
    sample: str = ""  #: a value with a character beyond ASCII, as decoded: shows a wrong guess at a glance
    confidence: float = 1.0

    @property
    def utf8(self) -> bool:
        return self.codec == "utf-8"


@dataclass(frozen=True, slots=True)
class Guess:
    codec: str
    confidence: float  #: 0 to 1; single-byte texts of a few lines seldom pass 0.2, even when right


def decide_encoding(
    sample: bytes,
    *,
    shown: str,
    option: str | None = None,
    presets: Sequence[str] = (),
    declared: str | None = None,
) -> Encoding | None:
    """The encoding of a text that begins with `sample`; None if it is ASCII so far, which any of them may follow.

    Raises SourceError if `option` is unknown or contradicts a byte order mark, or if this is no text.
    """
    wanted = known_codec(option) if option else None
    if (marked := _by_mark(sample)) is not None:
        _refuse_contradiction(shown, wanted, marked)
        return _shown(marked, sample)
    if wanted is not None and wanted.startswith(("utf-16", "utf-32")):  # zero bytes are nothing to wonder at
        codec = wanted if wanted.endswith(("le", "be")) else _by_sides(sample) or wanted + "-le"
        return _shown(Encoding(codec, How.OPTION), sample)
    zeros = _by_zeros(sample, shown)
    if wanted is not None:
        return _shown(Encoding(wanted, How.OPTION), sample)
    if zeros is not None:
        return _shown(Encoding(zeros, How.ZEROS), sample)
    if sample.isascii():
        return None
    _refuse_controls(sample, shown)
    return _shown(_by_content(sample, presets, declared), sample)


def guess_encoding(sample: bytes) -> Guess:
    """The likeliest encoding of a text that is neither ASCII nor UTF-8. The only place that asks chardet.

    Only the lines that are not ASCII are shown to it. Short Western European names look Central European to it
    (0.038 against 0.024 for "José Núñez"), so cp1252 wins when it comes close and reads as letters; real Central
    European names leave it below 0.5 of the best.
    """
    import chardet  # noqa: PLC0415  # 50 ms, and most files are UTF-8

    telling = b"\n".join(line for line in sample.splitlines() if not line.isascii())[:65_536]
    found = chardet.detect_all(telling, ignore_threshold=True, compat_names=False, include_encodings=_GUESSABLE)
    scored = [(_letters(telling, codec), codec, confidence) for codec, confidence in _candidates(found)]
    if not scored:
        return Guess("cp1252", 0.0)
    _, likeliest, best = max(scored, key=lambda entry: entry[2])
    western = 0.6 if likeliest in {"cp1250", "iso8859-2"} else 0.75
    near = [entry for entry in scored if entry[2] >= (western if entry[1] == "cp1252" else 0.75) * best]
    _, codec, confidence = max(near, key=lambda entry: (round(entry[0], 2), entry[1] == "cp1252", entry[2]))
    return Guess(codec, confidence)


def known_codec(name: str) -> str:
    """Python's name of an encoding a source may be in. Raises SourceError for any other."""
    try:
        info = codecs.lookup(name)
    except (LookupError, ValueError):
        info = None
    if info is None or not getattr(info, "_is_text_encoding", True) or _STATEFUL.search(info.name):
        near = difflib.get_close_matches(name.lower(), [*_GUESSABLE, "utf-8", "utf-16", "latin-1"], n=3, cutoff=0.5)
        raise SourceError(
            f"unknown encoding {name!r}",
            fix=f'encoding = "{near[0] if near else "cp1252"}"',
            code="encoding-unknown",
        )
    return "utf-8" if info.name == "utf-8-sig" else info.name


def invalid_utf8(data: bytes) -> Iterator[int]:
    """Offsets of the invalid sequences of `data`, the first of each line. Linear: read in windows of 64 KiB."""
    at, size, window = 0, len(data), 64 << 10
    while at < size:
        stop = min(at + window, size)
        try:
            at += codecs.utf_8_decode(data[at:stop], "strict", stop == size)[1]
        except UnicodeDecodeError as error:
            yield at + error.start
            at = data.find(b"\n", at + error.start) + 1 or size


def non_ascii_value(text: str) -> str:
    """The first cell-like stretch of `text` with a character beyond ASCII, at most 40 characters of it."""
    found = _CELL.search(text)
    return found.group().strip()[:40] if found else ""


def _by_mark(sample: bytes) -> Encoding | None:
    for mark, codec in _MARKS:
        if sample.startswith(mark):
            length = len(mark)
            while codec == "utf-8" and sample.startswith(mark, length):  # tools that add one to a file that has one
                length += len(mark)
            return Encoding(codec, How.MARK, mark=length)
    return None


def _refuse_contradiction(shown: str, wanted: str | None, marked: Encoding) -> None:
    if wanted is None or marked.codec.startswith(wanted):
        return
    raise SourceError(
        f"encoding is set to {wanted}, but {shown} begins with the byte order mark of {marked.codec}",
        fix="take `encoding` out of the config: the mark is enough",
        code="encoding-wrong",
    )


def _by_sides(sample: bytes) -> str | None:
    """UTF-16 of which order, by zero bytes that are nearly all on one side of the pairs."""
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    for codec, side, other in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if side > 20 * other and side * 20 > len(sample) and _has_its_lines(sample, codec):
            return codec
    return None


def _by_zeros(sample: bytes, shown: str) -> str | None:
    """UTF-16 without a mark, or None for other text. Raises SourceError for binary data."""
    zeros = sample.count(0)
    if zeros * 50 < len(sample) or not zeros:
        return None
    if (codec := _by_sides(sample)) is not None:
        return codec
    if zeros * 10 < len(sample) or zeros < 16:
        return None  # text with stray NULs: its rows are held one by one
    raise SourceError(
        f"{shown} is no text",
        why=f"{zeros:,} of the first {len(sample):,} bytes are zero",
        fix="export again as CSV or xlsx",
        code="not-text",
    )


def _refuse_controls(sample: bytes, shown: str) -> None:
    """Raises SourceError for binary data without many zeros: of random bytes every ninth is a control character."""
    controls = len(_CONTROLS.findall(sample))
    if controls >= 16 and controls * 20 > len(sample):
        raise SourceError(
            f"{shown} is no text",
            why=f"{controls:,} of the first {len(sample):,} bytes are control characters",
            fix="export again as CSV or xlsx",
            code="not-text",
        )


def _has_its_lines(sample: bytes, codec: str) -> bool:
    """Whether `sample` decodes, but for a damaged place or two, and the line ends in it are still line ends then."""
    text = codecs.getincrementaldecoder(codec)("replace").decode(sample, final=False)
    damaged = text.count("\N{REPLACEMENT CHARACTER}")
    return damaged * 50 <= len(text) and text.count("\n") * 2 >= sample.count(b"\n")


def _by_content(sample: bytes, presets: Sequence[str], declared: str | None) -> Encoding:
    if _decodes(sample, "utf-8"):
        return Encoding("utf-8", How.VALID)
    sequences = _UTF8_SEQUENCE.findall(sample)
    stray = len(_HIGH.findall(sample)) - sum(map(len, sequences))
    if len(sequences) > stray:  # a damaged byte or two in UTF-8: the rows are held, the rest is not re-read as cp1252
        return Encoding("utf-8", How.MOSTLY)
    for name, how in (*((declared, How.DECLARED),) * bool(declared), *((preset, How.PRESET) for preset in presets)):
        codec = known_codec(name or "")
        if codec != "utf-8" and _decodes(sample, codec):
            return Encoding(codec, how)
    guess = guess_encoding(sample)
    return Encoding(guess.codec, How.GUESS, confidence=guess.confidence)


def _decodes(sample: bytes, codec: str) -> bool:
    """Whether `sample`, perhaps cut in mid-character, is valid."""
    try:
        codecs.getincrementaldecoder(codec)("strict").decode(sample, final=False)
    except UnicodeDecodeError:
        return False
    return True


def _shown(encoding: Encoding, sample: bytes) -> Encoding:
    text = codecs.getincrementaldecoder(encoding.codec)("replace").decode(sample[encoding.mark :])
    value = non_ascii_value(text)
    return Encoding(encoding.codec, encoding.how, encoding.mark, value, encoding.confidence)


def _candidates(found: Sequence[object]) -> Iterator[tuple[str, float]]:
    for entry in found:
        if isinstance(entry, dict) and isinstance(name := entry.get("encoding"), str):
            yield codecs.lookup(name).name, float(entry.get("confidence") or 0.0)


def _letters(sample: bytes, codec: str) -> float:
    """The share of characters beyond ASCII that names and addresses are made of."""
    try:
        text = codecs.getincrementaldecoder(codec)("strict").decode(sample, final=False)
    except UnicodeDecodeError:
        return 0.0
    high = [character for character in text if character > "\x7f"]
    return sum(character.isalpha() or character in "“”‘’„–—…€£№«» \xa0" for character in high) / max(1, len(high))
