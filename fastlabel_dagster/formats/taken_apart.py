"""What formats of single pictures are given when a project has videos, or tasks of several pictures."""

from __future__ import annotations

from fastlabel_dagster.formats.report import Tally
from fastlabel_dagster.formats.sources import SOURCE, PictureSource, pictures_of_dataset
from fastlabel_dagster.labels.report import TASK
from fastlabel_dagster.labels.single_pictures import TakenApart, single_pictures
from fastlabel_dagster.labels.tables import Labels

_VIDEO = "a video was taken apart, every frame is a picture"
_SEVERAL = "a task of several pictures was taken apart, each is one of its own"


def taken_apart(labels: Labels, told: TakenApart) -> Labels:
    """``labels`` as single pictures, from where ``labels`` are from: a writer notes the same origin in its files."""
    single = single_pictures(labels, told)
    single.origin.update(labels.origin)
    return single


def pictures_of_single(labels: Labels, single: Labels, told: TakenApart) -> PictureSource | None:
    """The pictures of a dataset that was read, whose tasks were taken apart: those of whole tasks (videos among them),
    and those of contents."""
    whole = pictures_of_dataset(labels)
    if SOURCE not in labels.origin:
        return None
    for _ in single.batches(["task_id"]):
        pass  # told is right only after the last
    if not told.several:
        return whole
    parts = pictures_of_dataset(single)
    if whole is not None and parts is not None:
        whole.held.update(parts.held)
    return whole or parts


def tell_of_parts(told: TakenApart, tally: Tally) -> None:
    """Say what was taken apart, and count the annotations that are on no picture, which no writer has seen."""
    tally.note("noticed", _VIDEO, TASK, told.videos, told.video_names)
    tally.note("noticed", _SEVERAL, TASK, told.several, told.several_names)
    for note in told.left_out.notes("dropped"):
        tally.note("dropped", note.reason, note.type, note.count, note.examples)
    tally.annotations += told.annotations
    tally.tasks += told.tasks - told.pictures
