"""When requests left, and until when none may: those of this process, or of all that work on one state directory.

The service counts an account's requests, whoever sends them, and `mail send` and `mail stats` run beside a sync. So
it is written that a request leaves where every sender looks before its own does: in a file mapped into memory, under a
lock held for microseconds. Nothing of it has to survive.

    pace    magic, how many ever left, until when nobody may, and the times of the last 10,000 in a ring

Times are those of the machine's monotonic clock, which its processes have in common and a restart begins anew: a time
that is still to come is of an earlier life.
"""

import contextlib
import math
import mmap
import os
import struct
import sys
import weakref
from collections import deque
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, Protocol

from syncengine.durable import PRIVATE_FILE, make_private_folder

if sys.platform != "win32":
    import fcntl

FILE: Final = "pace"

_MAGIC: Final = 0x53594E50  # "SYNP"
_HEAD: Final = struct.Struct("<QQd")
_TIME: Final = struct.Struct("<d")
_RING: Final = 10_000  #: times kept
_SIZE: Final = _HEAD.size + _RING * _TIME.size
_MOMENT: Final = 0.001  #: seconds; somebody else is at the file
_SKEW: Final = 1.0  #: seconds another process may have looked at the clock after us

Windows = Collection[tuple[int, float]]
"""(requests, seconds): at most so many within so long."""


class Slots(Protocol):
    """What every sender asks before a request leaves. Times are seconds of a clock that does not go back."""

    def take(self, windows: Windows, now: float) -> float:
        """0: a request leaves now, and it is noted. Otherwise seconds after which to ask again."""
        ...

    def hold(self, until: float, now: float) -> None:
        """Nothing leaves before `until`; a longer hold already set stays."""
        ...

    def held_until(self, now: float) -> float:
        """When the hold ends; in the past if there is none."""
        ...


class OwnSlots:
    """Of one process (a `Slots`). `most` is the largest number of requests asked about."""

    def __init__(self, most: int) -> None:
        self._left: deque[float] = deque(maxlen=most)
        self._held_until = -math.inf

    def take(self, windows: Windows, now: float) -> float:
        ends = [self._left[-size] + seconds for size, seconds in windows if len(self._left) >= size]
        wait = max(self._held_until, *ends, -math.inf) - now
        if wait <= 0:
            self._left.append(now)
        return max(0.0, wait)

    def hold(self, until: float, now: float) -> None:  # noqa: ARG002  # there is only one life
        self._held_until = max(self._held_until, until)

    def held_until(self, now: float) -> float:  # noqa: ARG002
        return self._held_until


class SharedSlots:
    """Of all processes that work on the state directory `folder` (a `Slots`). Raises OSError if it can't be written.

    longest   seconds a hold lasts at most
    """

    def __init__(self, folder: Path, *, longest: float) -> None:
        self._longest = longest
        make_private_folder(folder)
        self._file = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
        weakref.finalize(self, os.close, self._file)
        with self._alone():
            if os.fstat(self._file).st_size != _SIZE:
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, bytes(_SIZE), 0)  # room on the disk now: a hole that can't be filled is a SIGBUS
            self._map = mmap.mmap(self._file, _SIZE)
            if _HEAD.unpack_from(self._map)[0] != _MAGIC:
                self._map[:] = bytes(_SIZE)
                _HEAD.pack_into(self._map, 0, _MAGIC, 0, -math.inf)

    def take(self, windows: Windows, now: float) -> float:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _MOMENT
        try:
            _, count, held = _HEAD.unpack_from(self._map)
            ends = [self._left(count, size, now) + seconds for size, seconds in map(_kept, windows) if count >= size]
            wait = max(self._of_this_life(held, now, self._longest), *ends, -math.inf) - now
            if wait <= 0:
                _TIME.pack_into(self._map, _HEAD.size + count % _RING * _TIME.size, now)
                _HEAD.pack_into(self._map, 0, _MAGIC, count + 1, held)
            return max(0.0, wait)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def hold(self, until: float, now: float) -> None:
        with self._alone():
            _, count, held = _HEAD.unpack_from(self._map)
            held = self._of_this_life(held, now, self._longest)
            _HEAD.pack_into(self._map, 0, _MAGIC, count, max(held, until))

    def held_until(self, now: float) -> float:
        return self._of_this_life(_HEAD.unpack_from(self._map)[2], now, self._longest)

    def _left(self, count: int, back: int, now: float) -> float:
        (time,) = _TIME.unpack_from(self._map, _HEAD.size + (count - back) % _RING * _TIME.size)
        return self._of_this_life(time, now, 0.0)

    @staticmethod
    def _of_this_life(time: float, now: float, ahead: float) -> float:
        return time if time <= now + ahead + _SKEW else -math.inf

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)


def _kept(window: tuple[int, float]) -> tuple[int, float]:
    """A window as far as the ring reaches: the same rate over a shorter time."""
    size, seconds = window
    return (size, seconds) if size <= _RING else (_RING, seconds * _RING / size)


def shared_slots(folder: Path, *, longest: float) -> Slots | None:
    """The slots of everybody who works on `folder`; None where there can be none.

    That is so on Windows, and where the folder can't be written: no sync runs there that a request could get in the
    way of.
    """
    if sys.platform == "win32":
        return None
    try:
        return SharedSlots(folder, longest=longest)
    except OSError:
        return None
