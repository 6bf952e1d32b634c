"""A preview of sound: what is said in each stretch of a few recordings, on their waveform where it can be read."""

from __future__ import annotations

import math
import wave
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from fastlabel_dagster.metadata.pictures import colour, document, shortened
from fastlabel_dagster.metadata.sheet import legend
from fastlabel_dagster.metadata.summary import NO_COLOUR, ClassCount

_WIDTH = 984
_LEFT = 8
_WAVE = 56
_LANE = 13
_ACROSS = _WIDTH - 2 * _LEFT
#: How many recordings are shown, segments of each, and rows for segments that overlap.
_MOST = 6
_MOST_SEGMENTS = 200
_MOST_LANES = 4
#: A waveform is the loudest of so many samples from the beginning of each of so many parts.
_PARTS = 484
_SAMPLES = 4096
#: And so many over all channels, at least one of each: a header may say that there are 65,535.
_MOST_VALUES = 16 * _SAMPLES
#: Bytes of a WAV file before its samples, at least.
_HEADER = 44
#: Seconds; what says it is longer is no recording.
_LONGEST = 1e7
#: Seconds between two marks of the time axis, the smallest that leaves room for their numbers.
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 7200, 6 * 3600, 24 * 3600)

#: The file of a task on the local disk for as long as the ``with`` block lasts, given its id; None when there is none.
OpenFile: TypeAlias = Callable[[str], AbstractContextManager[Path] | None]


class Waveform(NamedTuple):
    """``seconds`` of sound, and the loudest of each part of it: float64[n] from 0 to 1."""

    seconds: float
    loudest: NDArray[np.float64]


class _Segment(NamedTuple):
    start: float
    end: float
    value: str


def sound_sheet(
    tasks: pa.Table,
    classes: Sequence[ClassCount],
    open_file: OpenFile,
    on_problem: Callable[[str], object] = lambda _: None,
) -> str | None:
    """An SVG document with the first six recordings of ``tasks`` (schema ``TASKS``) one below the other, their
    segments (``start`` and ``end`` in seconds) in the colours of their classes; None when there is nothing to show.

    Plain WAV files have their waveform; of what is compressed only the time is shown. A recording is as long as its
    file says, or else its task, or else as its last segment.
    """
    colours = {one.value: colour(one.color) for one in classes}
    used: set[str] = set()
    top, rows = _LEFT, []
    for task in tasks.select(["task_id", "name", "duration", "annotations"]).slice(0, _MOST).to_pylist():
        name = str(task["name"] or task["task_id"])
        segments = _segments(task["annotations"] or [])
        form = _waveform_of(str(task["task_id"]), name, open_file, on_problem)
        seconds = form.seconds if form else task["duration"] or max((one.end for one in segments), default=0.0)
        if not 1e-3 <= seconds <= _LONGEST:
            continue
        row, height = _recording(name, seconds, segments, form, colours, top)
        used |= {one.value for one in segments}
        rows.append(row)
        top += height
    if not rows:
        return None
    said, height = legend([one for one in classes if one.value in used], top, _WIDTH)
    return document(_WIDTH, top + height, "".join(rows) + said)


def waveform(path: Path, parts: int = _PARTS) -> Waveform:
    """The loudest sample of each of ``parts`` parts of a plain WAV file, over all channels.

    Of a long recording some 4,000 samples from the beginning of each part are read, and fewer of more than 16 channels,
    so the cost does not grow with it.
    It is as long as what is in the file: a header that was written before the end was known may say four gigabytes.

    Raises:
        wave.Error, EOFError: no WAV file, or one that is compressed.
    """
    with wave.open(str(path), "rb") as sound:
        frames, rate = sound.getnframes(), sound.getframerate()
        width, channels = sound.getsampwidth(), sound.getnchannels()
        frames = min(frames, (path.stat().st_size - _HEADER) // max(width * channels, 1))
        if width not in (1, 2, 3, 4) or not (frames > 0 and rate > 0):
            raise wave.Error(f"{width} bytes a sample, {frames} samples, {rate} a second")
        begins = np.linspace(0, frames, min(parts, frames) + 1).astype(np.int64)
        loudest = np.zeros(len(begins) - 1)
        for part, (begin, end) in enumerate(zip(begins[:-1].tolist(), begins[1:].tolist(), strict=True)):
            sound.setpos(begin)
            wanted = min(end - begin, _SAMPLES, max(_MOST_VALUES // channels, 1))
            samples = _samples(sound.readframes(wanted), width, channels)
            loudest[part] = np.abs(samples).max(initial=0.0)
    return Waveform(frames / rate, loudest)


def _samples(data: bytes, width: int, channels: int) -> NDArray[np.float64]:
    """Samples from -1 to 1; an incomplete one at the end of a file that was cut off is left out."""
    data = data[: len(data) // (width * channels) * width * channels]
    if width == 1:  # the only one without a sign
        return np.frombuffer(data, np.uint8).astype(np.float64) / 128 - 1
    if width == 3:
        bytes_ = np.frombuffer(data, np.uint8).reshape(-1, 3)
        wide = np.zeros((len(bytes_), 4), np.uint8)
        wide[:, 1:] = bytes_
        return wide.view("<i4")[:, 0] / 2.0**31
    return np.frombuffer(data, f"<i{width}") / 2.0 ** (8 * width - 1)


def _waveform_of(task_id: str, name: str, open_file: OpenFile, on_problem: Callable[[str], object]) -> Waveform | None:
    try:
        opened = open_file(task_id)
        if opened is None:
            on_problem(f"{name}: no recording")
            return None
        with opened as path:
            return waveform(path)
    except Exception as error:  # noqa: BLE001 - a decoration: without the waveform there is still the time
        on_problem(f"{name}: {type(error).__name__}: {error}")
        return None


def _segments(annotations: Sequence[dict[str, Any]]) -> list[_Segment]:
    found = []
    for one in annotations:
        start, end = one.get("start"), one.get("end")
        if start is not None and end is not None and -_LONGEST <= start <= end <= _LONGEST:
            found.append(_Segment(float(start), float(end), str(one.get("value") or "")))
    return sorted(found)[:_MOST_SEGMENTS]


def _recording(  # noqa: PLR0917 - what there is to draw
    name: str,
    seconds: float,
    segments: Sequence[_Segment],
    form: Waveform | None,
    colours: dict[str, str],
    top: int,
) -> tuple[str, int]:
    """One recording as SVG elements from ``top`` on, and the height it takes."""
    scale = _ACROSS / seconds
    begin = top + 18
    lanes = _lanes(segments)
    band = begin + (_WAVE if form else 4)
    foot = band + _LANE * (max(lanes, default=0) + 1) + 2
    few = "" if len(segments) < _MOST_SEGMENTS else f" · the first {_MOST_SEGMENTS} segments"
    parts = [
        f'<text x="{_LEFT}" y="{top + 12}" fill="#444b55">{shortened(name, 80)} · {_clock(seconds, 0.1)}{few}</text>',
        f'<rect x="{_LEFT}" y="{begin}" width="{_ACROSS}" height="{foot - begin}" fill="#f1f3f5"/>',
    ]
    tinted: dict[str, list[str]] = {}
    barred: dict[str, list[str]] = {}
    for one, lane in zip(segments, lanes, strict=True):
        x, width = _LEFT + max(one.start, 0) * scale, max((one.end - max(one.start, 0)) * scale, 1.5)
        width = min(width, _LEFT + _ACROSS - x)
        if width <= 0:
            continue
        tint = colours.get(one.value, NO_COLOUR)
        tinted.setdefault(tint, []).append(f"M{x:.1f} {begin}h{width:.1f}v{_WAVE}h-{width:.1f}z")
        bar = f"M{x:.1f} {band + 1 + lane * _LANE}h{width:.1f}v{_LANE - 2}h-{width:.1f}z"
        barred.setdefault(tint, []).append(bar)
    # one element for each colour: hundreds of segments stay small
    if form:
        parts += [f'<path d="{"".join(each)}" fill="{tint}" fill-opacity="0.16"/>' for tint, each in tinted.items()]
    parts += [f'<path d="{"".join(each)}" fill="{tint}"/>' for tint, each in barred.items()]
    if form:
        parts.append(_outline(form, begin + _WAVE / 2))
    return "".join(parts) + _axis(seconds, scale, foot), foot + 20 - top


def _outline(form: Waveform, middle: float) -> str:
    across = _LEFT + (np.arange(len(form.loudest)) + 0.5) * _ACROSS / len(form.loudest)
    tall = np.maximum(form.loudest * (_WAVE / 2 - 2), 0.4)
    path = "".join(f"M{x:.1f} {middle - y:.1f}v{2 * y:.1f}" for x, y in zip(across, tall, strict=True))
    return f'<path d="{path}" stroke="#4a5563" stroke-width="1.4" fill="none"/>'


def _axis(seconds: float, scale: float, y: int) -> str:
    step = next((one for one in _STEPS if one * scale >= 60), _STEPS[-1] * math.ceil(seconds / _STEPS[-1] / 12))
    marks = np.arange(0, seconds + step * 1e-6, step)
    return "".join(
        f'<path d="M{_LEFT + at * scale:.1f} {y}v4" stroke="#8a8f98"/>'
        f'<text x="{_LEFT + at * scale + 3:.1f}" y="{y + 11}" font-size="10" fill="#444b55">{_clock(at, step)}</text>'
        for at in marks.tolist()
        if at * scale < _ACROSS - 44
    )


def _clock(seconds: float, step: float) -> str:
    """``0:07``, ``1:02:03``; with a tenth of a second where ``step`` is less than one."""
    tenths = round(seconds * 10) if step < 1 else round(seconds) * 10
    whole, tenth = divmod(tenths, 10)
    hours, minutes = divmod(whole // 60, 60)
    text = f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
    return f"{text}.{tenth}" if step < 1 else text


def _lanes(segments: Sequence[_Segment]) -> list[int]:
    """In which row each segment is drawn, so that those that overlap do not hide each other; up to four rows."""
    ends = [-math.inf] * _MOST_LANES
    found = []
    for one in segments:  # in the order of their starts
        lane = next((row for row, end in enumerate(ends) if end <= one.start), _MOST_LANES - 1)
        ends[lane] = max(ends[lane], one.end)
        found.append(lane)
    return found
