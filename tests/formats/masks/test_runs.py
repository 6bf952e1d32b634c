"""Index images made from runs: packed as zlib, PNG readers and a painter of single pixels have them."""

from __future__ import annotations

import itertools
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster.formats.masks.deflate import Runs, packed_runs
from fastlabel_dagster.formats.masks.paint import paint_indices
from fastlabel_dagster.labels.painting import Spans


def runs_of(pictures):
    """The runs of arrays of bytes."""
    offsets, found = [0], []
    for picture in pictures:
        edges = [*np.flatnonzero(np.diff(picture, prepend=256)).tolist(), len(picture)]
        found += [(a, b, int(picture[a])) for a, b in itertools.pairwise(edges) if picture[a]]
        offsets.append(len(found))
    start, stop, value = np.array(found, np.int64).reshape(-1, 3).T
    return Runs(np.array(offsets), start, stop, value), np.array([len(picture) for picture in pictures])


def packed(*pictures):
    return packed_runs(*runs_of(pictures))


_RUN = st.tuples(st.sampled_from([0, 0, 1, 2, 3, 37, 254, 255]), st.sampled_from([1, 2, 3, 4, 11, 257, 258, 259, 260]))
_RUNS = st.lists(st.one_of(_RUN, st.tuples(st.integers(0, 255), st.integers(1, 9000))), min_size=1, max_size=40)


@settings(deadline=None, max_examples=150)
@given(st.lists(_RUNS, min_size=1, max_size=4))
def test_zlib_unpacks_what_the_runs_say(described):
    pictures = [np.repeat(*np.array(runs, np.int64).T).astype(np.uint8) for runs in described]
    assert [zlib.decompress(data) for data in packed(*pictures)] == [picture.tobytes() for picture in pictures]


@pytest.mark.parametrize("highest", range(256))
def test_any_number_of_different_bytes_has_code_words(highest):
    picture = np.repeat(np.arange(highest + 1, dtype=np.uint8), np.arange(highest + 1) % 5 + 1)
    (data,) = packed(picture)
    assert zlib.decompress(data) == picture.tobytes()


@pytest.mark.parametrize("length", [*range(1, 20), *range(250, 270), *range(3085, 3110), 1_000_000])
def test_a_run_of_any_length_is_packed(length):
    picture = np.full(length, 9, np.uint8)
    (data,) = packed(picture)
    assert zlib.decompress(data) == picture.tobytes()


def test_a_picture_is_packed_the_same_whatever_lies_beside_it():
    random = np.random.default_rng(3)
    pictures = [np.repeat(random.integers(0, top, 50), 7).astype(np.uint8) for top in (1, 2, 9, 200)]
    assert packed(*pictures) == [data for picture in pictures for data in packed(picture)]


def test_a_large_blank_picture_is_small():
    (data,) = packed_runs(Runs(np.zeros(2, np.int64), *(np.zeros(0, np.int64),) * 3), np.array([2**28]))
    unpacker, length = zlib.decompressobj(), 0
    while data:
        length += len(unpacker.decompress(data, 2**24))
        data = unpacker.unconsumed_tail
    assert length == 2**28
    assert unpacker.eof


_SHAPE = st.tuples(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 8), st.integers(1, 6))))


@settings(deadline=None, max_examples=150)
@given(st.lists(st.lists(_SHAPE, max_size=5), min_size=1, max_size=3))
def test_later_annotations_lie_on_top(described):
    height, width = 5, 14
    canvas = np.zeros((len(described), height, width), np.int64)
    offsets, runs, index, shapes, areas = [0], [], [], [0], []
    for picture, those in enumerate(described):
        for value, parts in those:
            mask = np.zeros((height, width), bool)
            for row, start, length in parts:
                mask[row, start : start + length] = True
            canvas[picture][mask] = value
            line = runs_of([mask.reshape(-1).astype(np.uint8)])[0]
            runs += [(a // width, a % width, b - a) for a, b in cut_at_rows(line, width)]
            offsets.append(len(runs))
            index.append(value)
            areas.append((picture, mask))
        shapes.append(len(index))
    row, start, length = np.array(runs, np.int64).reshape(-1, 3).T
    side = np.full(len(described), width), np.full(len(described), height)
    spans = Spans(np.array(offsets), row, start, start + length)
    found = paint_indices(spans, np.array(index, np.int64), np.array(shapes), *side)
    pixels = np.zeros((len(described), height * (width + 1)), np.int64)
    for picture in range(len(described)):
        for run in range(found.runs.offsets[picture], found.runs.offsets[picture + 1]):
            pixels[picture, found.runs.start[run] : found.runs.stop[run]] = found.runs.value[run]
    pixels = pixels.reshape(len(described), height, width + 1)
    assert not pixels[:, :, 0].any()
    assert (pixels[:, :, 1:] == canvas).all()
    assert found.area.tolist() == [int(mask.sum()) for _, mask in areas]
    visible = [int((canvas[picture][mask] == of).sum()) for (picture, mask), of in zip(areas, index, strict=True)]
    assert found.visible.tolist() == visible


def cut_at_rows(line, width):
    for start, stop in zip(line.start.tolist(), line.stop.tolist(), strict=True):
        borders = [start, *range((start // width + 1) * width, stop, width), stop]
        yield from itertools.pairwise(borders)
