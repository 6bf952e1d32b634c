"""Runs of equal bytes as zlib data, for many pictures at once and without the bytes themselves.

A PNG encoder looks at every pixel; an index mask of a million pixels has a few thousand runs, and those are known
before the first pixel is painted. So the packed data are made from them: a byte as it is, then "the byte before, n
times" (the deflate format of RFC 1951, each picture one block). The code words are not fitted to each picture: what
masks are made of is much the same everywhere, so one set for each number of different bytes does.
"""

from __future__ import annotations

import functools
import struct
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.labels.ragged import Ints, offsets_of, ranges

Words: TypeAlias = NDArray[np.uint64]


class Runs(NamedTuple):
    """Runs of bytes of ``p`` pictures; what lies between them is 0. Those of picture ``i`` are
    ``offsets[i]:offsets[i + 1]``, sorted; no two of them share a byte."""

    offsets: Ints
    """int64[p + 1] into the other three."""
    start: Ints
    """The first byte of each run, counted from the beginning of its picture."""
    stop: Ints
    """The byte behind it, greater than ``start``."""
    value: Ints
    """Of all bytes of the run, 1 to 255 (more is for runs of other things than bytes)."""

    def of(self, pictures: Ints) -> Runs:
        """Those of some pictures."""
        counts = np.diff(self.offsets)[pictures]
        if len(counts) == len(self.offsets) - 1:
            return self
        which = ranges(self.offsets[:-1][pictures], counts)
        return Runs(offsets_of(counts), self.start[which], self.stop[which], self.value[which])


_LONGEST = 258
"""What one "n times" can say."""
_MOST = 1 + 11 * _LONGEST + 257
"""The longest run that makes one piece: its bits fill no more than 64."""
_END = 256
#: Bits behind the code words 257 to 285, and the fewest repetitions each of these stands for.
_EXTRA = np.array([0] * 8 + [bits for bits in (1, 2, 3, 4, 5) for _ in range(4)] + [0])
_FEWEST = np.append(3 + offsets_of(1 << _EXTRA[:28])[:28], _LONGEST)
#: Lengths of code words in which the format tells the lengths of the code words that are used; and 11 to 138 zeros.
_LENGTH_CODES = dict.fromkeys(range(11), 4) | dict.fromkeys((5, 6, 10, 18), 3)
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)
_ADLER = 65521


def packed_runs(runs: Runs, sizes: Ints) -> list[bytes]:
    """The zlib data of each picture, ``sizes`` (int64[p], positive) its number of bytes."""
    pictures = len(sizes)
    if not pictures:
        return []
    picture, length, value = _pieces(runs, sizes)
    highest = np.zeros(pictures, np.int64)
    np.maximum.at(highest, np.repeat(np.arange(pictures), np.diff(runs.offsets)), runs.value)
    tops, table = np.unique(highest, return_inverse=True)
    codes = [_codes(top) for top in tops.tolist()]
    bits, count = _coded(codes, table[picture], length, value)

    rest = np.array([one.head_rest for one in codes])[table]
    end_bits, end_count = (np.array([one.end[column] for one in codes], np.int64)[table] for column in (0, 1))
    per_picture = np.bincount(picture, weights=count, minlength=pictures).astype(np.int64)
    total = rest + per_picture + end_count
    first_word = offsets_of(total // 64 + 2)
    # Where each piece begins, in bits: those of a picture follow each other, a picture begins a word of its own.
    before = offsets_of(count)[:-1]
    begins = 64 * first_word[:-1] + rest
    place = before + np.repeat(begins - offsets_of(per_picture)[:-1], np.bincount(picture, minlength=pictures))
    words = np.zeros(first_word[-1], np.uint64)
    _put(words, place, bits, count)
    words[first_word[:-1]] |= np.array([one.head_tail for one in codes], np.uint64)[table]
    ends = begins + per_picture
    _put_few(words, ends, end_bits.astype(np.uint64))
    data = words.astype("<u8", copy=False).tobytes()
    packed = []
    columns = table, 8 * first_word[:-1], (total + 7) // 8, _checks(runs, sizes)
    for of, begin, count_bytes, check in zip(*(column.tolist() for column in columns), strict=True):
        body = data[begin : begin + count_bytes]
        packed.append(b"".join([b"\x78\x01", codes[of].head_words, body, struct.pack(">I", check)]))
    return packed


def _pieces(runs: Runs, sizes: Ints) -> tuple[Ints, Ints, Ints]:
    """Picture, length and byte of all runs, those of zeros between the others too; none is longer than ``_MOST``."""
    pictures, filled = len(sizes), np.diff(runs.offsets)
    # Zeros and a run take turns in each picture; zeros end it.
    picture = np.repeat(np.arange(pictures), 2 * filled + 1)
    is_run = np.zeros(len(picture), np.bool_)
    place = 2 * np.arange(len(runs.start)) + np.repeat(np.arange(pictures), filled) + 1
    is_run[place] = True
    border = np.zeros(len(picture) + 1, np.int64)
    border[place], border[place + 1] = runs.start, runs.stop
    value = np.zeros(len(picture), np.int64)
    value[place] = runs.value
    begins = border[:-1].copy()
    ends = border[1:].copy()
    firsts = 2 * runs.offsets[:-1] + np.arange(pictures)
    begins[firsts] = 0
    ends[firsts + 2 * filled] = sizes
    length = ends - begins
    kept = np.flatnonzero(length)
    picture, length, value = picture[kept], length[kept], value[kept]
    long = np.flatnonzero(length > _MOST)
    if len(long):
        times = np.ones(len(length), np.int64)
        times[long] = -(-length[long] // _MOST)
        last = offsets_of(times)[1:] - 1
        rest = length - (times - 1) * _MOST
        picture, value = np.repeat(picture, times), np.repeat(value, times)
        length = np.full(len(picture), _MOST)
        length[last] = rest
    return picture, length, value


class _Codes(NamedTuple):
    """The code words for pictures of the bytes 0 to some highest one."""

    head_words: bytes
    """What stands before the first piece: whole words of 64 bits, …"""
    head_tail: int
    """… and what is left of it, …"""
    head_rest: int
    """… so many bits."""
    byte_bits: Words
    """uint64[3, 256]: a byte once, twice and three times; …"""
    byte_count: Ints
    """… how many bits that is."""
    repeat_bits: Words
    """uint64[_MOST + 1]: what follows the byte of a run of some length."""
    repeat_count: Ints
    end: tuple[int, int]
    """Code word and bits of the end of the data."""


@functools.lru_cache(maxsize=256)
def _codes(highest: int) -> _Codes:
    lengths = _lengths(highest)
    words = _words(lengths)
    head, head_count = _head(lengths, highest)
    byte = np.array(words[:256], np.uint64)
    byte_count = np.array(lengths[:256], np.int64)
    shift = byte_count.astype(np.uint64)
    twice = byte | byte << shift
    # A repetition of the byte before is its distance, 1, too: a single bit, 0.
    code = np.array(words[257:286], np.uint64)
    code_count = np.array(lengths[257:286], np.int64) + 1
    times = np.arange(_MOST + 1)
    full, left = np.divmod(np.maximum(times - 1, 0), _LONGEST)
    whole = [0]
    for _ in range(11):
        whole.append(whole[-1] << int(code_count[-1]) | int(code[-1]))
    bits = np.array(whole, np.uint64)[full]
    count = full * int(code_count[-1])
    which = np.searchsorted(_FEWEST, left, side="right") - 1
    said = left >= 3  # one or two times more are the byte itself
    which = np.where(said, which, 0)
    more = (left - _FEWEST[which]).astype(np.uint64) << (code_count[which] - 1).astype(np.uint64) | code[which]
    bits = np.where(said, bits | more << count.astype(np.uint64), bits)
    count = np.where(said, count + code_count[which] + _EXTRA[which], count)
    whole_words = head_count // 64
    return _Codes(
        (head & (1 << 64 * whole_words) - 1).to_bytes(8 * whole_words, "little"),
        head >> 64 * whole_words,
        head_count % 64,
        np.stack([byte, twice, twice << shift | byte]),
        np.stack([byte_count, 2 * byte_count, 3 * byte_count]),
        bits,
        count,
        (words[_END], lengths[_END]),
    )


def _lengths(highest: int) -> list[int]:
    """Bits of the code words 0 to 285. A quarter of all code space each for the byte 0, the other bytes, 258
    repetitions, and for fewer of them and the end."""
    lengths = [0] * 286
    lengths[0] = 2 if highest else 1
    if highest:
        bits = (highest - 1).bit_length()
        short = (1 << bits) - highest
        lengths[1 : highest + 1] = [2 + bits - (byte <= short) for byte in range(1, highest + 1)]
    lengths[_END] = 7
    lengths[257:265] = [10] * 8
    lengths[265:269] = [8] * 4
    lengths[269:273] = [7] * 4
    lengths[273:285] = [6] * 12
    lengths[285] = 2
    return lengths


def _words(lengths: list[int]) -> list[int]:
    """The code words of these lengths, by the rule of the format; the first bit lowest."""
    words, word, length = [0] * len(lengths), 0, 0
    for bits, symbol in sorted((bits, symbol) for symbol, bits in enumerate(lengths) if bits):
        word = (word + 1 if length else 0) << bits - length
        length = bits
        words[symbol] = int(f"{word:0{bits}b}"[::-1], 2)
    return words


def _head(lengths: list[int], highest: int) -> tuple[int, int]:
    """What stands before a block: the lengths of its code words, themselves in code words; and how many bits it has."""
    own = [_LENGTH_CODES.get(symbol, 0) for symbol in range(19)]
    words = _words(own)
    parts = [(1, 1), (2, 2), (286 - 257, 5), (2 - 1, 5), (19 - 4, 4)]  # the last block; code words of its own; how many
    parts += [(own[symbol], 3) for symbol in _ORDER]
    zeros = 255 - highest
    told = lengths[: highest + 1]
    for length in told:
        parts.append((words[length], own[length]))
    while zeros:
        many = min(zeros, 138)
        if many < 11:
            parts.append((words[0], own[0]))
            zeros -= 1
        else:
            parts += [(words[18], own[18]), (many - 11, 7)]
            zeros -= many
    parts += [(words[length], own[length]) for length in lengths[_END:]]
    parts += [(words[1], own[1])] * 2  # the distances 1 and 2: fewer than two are not for all readers
    head, count = 0, 0
    for value, bits in parts:
        head |= value << count
        count += bits
    return head, count


def _coded(codes: list[_Codes], table: Ints, length: Ints, value: Ints) -> tuple[Words, Ints]:
    """The bits of each piece (the first one lowest), and how many there are."""
    left = (length - 1) % _LONGEST
    more = np.where(left < 3, left, 0)
    byte = (table * 3 + more) * 256 + value
    byte_bits = np.concatenate([one.byte_bits.reshape(-1) for one in codes])[byte]
    byte_count = np.concatenate([one.byte_count.reshape(-1) for one in codes])[byte]
    repeat = table * (_MOST + 1) + length
    repeat_bits = np.concatenate([one.repeat_bits for one in codes])[repeat]
    repeat_count = np.concatenate([one.repeat_count for one in codes])[repeat]
    return byte_bits | repeat_bits << byte_count.astype(np.uint64), byte_count + repeat_count


def _put(words: Words, place: Ints, bits: Words, count: Ints) -> None:
    """Set ``bits`` from the bit ``place`` on, which grows."""
    word, shift = place >> 6, (place & 63).astype(np.uint64)
    first = np.flatnonzero(np.diff(word, prepend=-1))
    words[word[first]] = np.bitwise_or.reduceat(bits << shift, first)
    over = np.flatnonzero((place & 63) + count > 64)  # of each word only the last piece reaches into the next one
    words[word[over] + 1] |= bits[over] >> (np.uint64(64) - shift[over])


def _put_few(words: Words, place: Ints, bits: Words) -> None:
    """Likewise, no two of them in the same words."""
    word, shift = place >> 6, (place & 63).astype(np.uint64)
    words[word] |= bits << shift
    words[word + 1] |= bits >> np.uint64(1) >> (np.uint64(63) - shift)


def _checks(runs: Runs, sizes: Ints) -> Ints:
    """Adler-32 of each picture's bytes: their sum, and the sum of all sums on the way."""
    length = runs.stop - runs.start
    filled = np.diff(runs.offsets)
    size = np.repeat(sizes, filled)
    plain = (length % _ADLER) * runs.value
    # A byte counts once for itself and for each that follows it. Either factor of the product is even or the sum is.
    twice = 2 * size - runs.start - runs.stop + 1
    even = length % 2 == 0
    product = (np.where(even, length // 2, length) % _ADLER) * (np.where(even, twice, twice // 2) % _ADLER)
    weighted = (product % _ADLER) * runs.value
    low = (1 + np.diff(offsets_of(plain)[runs.offsets])) % _ADLER
    high = (sizes + np.diff(offsets_of(weighted)[runs.offsets])) % _ADLER
    checks: Ints = high << 16 | low
    return checks
