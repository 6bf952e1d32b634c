"""What every writer of shapes begins a batch of tasks with: flat geometry, the sizes of the pictures, and the sieve."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fastlabel_dagster.formats.attributes import has_attributes
from fastlabel_dagster.formats.batches import task_batches
from fastlabel_dagster.formats.categories import Categories, Met
from fastlabel_dagster.formats.one_ahead import one_ahead
from fastlabel_dagster.formats.outlines import SLACK, TOO_FAR, is_too_far
from fastlabel_dagster.formats.pictures import Pictures
from fastlabel_dagster.formats.report import BatchTally, Tally
from fastlabel_dagster.labels import json_text
from fastlabel_dagster.labels.geometry import FlatAnnotations, boxes, flatten, is_finite, reaches
from fastlabel_dagster.labels.ragged import Bools, Floats, Ints, any_column, every_column, floats, kept_only, one_array
from fastlabel_dagster.labels.tables import Labels

Made = TypeVar("Made")

#: Types with an area.
SHAPES = ("bbox", "polygon", "segmentation", "circle")
#: The columns of the label tables a batch needs.
NEEDS = ("task_id", "name", "width", "height", "annotations")
REVERSED = "the corners of the box came in another order, they were put in order"
UNTURNED = "its rotation is not a number, the box is taken as not turned"
CUT_MASK = "reached outside the image, its mask ends at the edge"
CLASSLESS = "it has no class"
#: With fewer batches the next one is done sooner than another thread is begun for it.
_MANY_BATCHES = 4
NO_CLASS = "the class is not in the project, it was added behind the others"


def has_class(values: pa.Array) -> Bools:
    """bool[n]: there is the name of a class. Readers take an empty one for none: what has it would be written, and lost
    when it is read."""
    named: Bools = pc.fill_null(pc.not_equal(values, ""), False).to_numpy(zero_copy_only=False)
    return named


def confidences(scores: pa.Array) -> Floats:
    """float64[n]: the ``confidence_score`` of annotations, NaN where a person drew them, which FastLabel answers as
    -1."""
    numbers = floats(scores)
    return np.where(np.isfinite(numbers) & (numbers >= 0), numbers, np.nan)


@dataclass
class ShapeBatch:
    """``n`` annotations of a batch of ``t`` tasks."""

    tasks: pa.Table
    picture: Ints
    """int64[t]: the position of each task's picture in the dataset."""
    flat: FlatAnnotations
    size: Floats
    """float64[n, 2]: width and height of each annotation's picture in pixels; NaN when unknown."""
    box: Floats
    """float64[n, 4]: the box around each annotation, x1, y1, x2, y2 in pixels."""
    told: BatchTally
    """What became of them; ``told.kept`` is who is left. Call ``told.finish()`` when the batch is written."""

    def column(self, name: str) -> pa.Array:
        """A field of ``labels.schema.ANNOTATION`` for all annotations."""
        return pc.struct_field(pc.list_flatten(one_array(self.tasks["annotations"])), name)

    def outside(self) -> Bools:
        """bool[n]: the box around it reaches outside the picture, as far as the size of that is known."""
        with np.errstate(invalid="ignore"):  # a size that is not known is no limit
            beyond = (self.box[:, :2] < -SLACK) | (self.box[:, 2:] > self.size + SLACK)
        found: Bools = any_column(beyond)
        return found

    def sift(
        self,
        *wanted: str,
        what: str = "",
        reason: str = "",
        bare: str = "",
        sized: bool = True,
        classed: bool = True,
    ) -> None:
        """Drop what cannot be written, and tell of boxes that are not quite as they were drawn: their corners were put
        in order, or their rotation is no number.

        Dropped are all but the types ``wanted`` (as "not ``what``", such as "a box", or for the whole ``reason``), and
        what no format can hold: ill-formed geometry (but of the type ``bare``, which has none), coordinates that are
        not finite or far away, (``classed``) no class or an empty one, and (``sized``) no size of the picture.
        """
        flat, told = self.flat, self.told
        told.drop(reason or f"not {what}", ~flat.is_type(*wanted))
        drawn = flat.annotation_rings[1:] > flat.annotation_rings[:-1]
        shapeless = ~flat.well_formed | ~drawn
        told.drop("the geometry is missing or ill-formed", shapeless & ~flat.is_type(bare) if bare else shapeless)
        told.drop("a coordinate is not a finite number", ~is_finite(flat))
        told.drop(TOO_FAR, is_too_far(reaches(flat) if flat.ring_is_hole.any() else self.box))
        told.drop("a circle without a positive radius", flat.is_type("circle") & ~(flat.radius > 0))
        if classed:
            told.drop(CLASSLESS, ~has_class(flat.value))
        if sized:
            known: Bools = every_column(self.size > 0)
            told.drop("the size of the image is not known", ~known)
        told.alter(REVERSED, flat.reversed)
        told.alter(UNTURNED, self._odd_rotation())

    def tell_of_losses(self, *, attributes: Sequence[str] | None = None) -> None:
        """Tell of what the format has no place for: confidences, and all ``attributes`` but those of these keys (None:
        it has a place for them)."""
        self.told.alter("its confidence was left out", np.isfinite(confidences(self.column("confidence_score"))))
        if attributes is not None:
            self.told.alter("its attributes were left out", has_attributes(self.column("attributes"), but=attributes))

    def _odd_rotation(self) -> Bools:
        """bool[n]: a box whose rotation is something else than a number, which is no column but one of its extras."""
        odd = np.zeros(len(self.flat), np.bool_)
        extra = self.column("extra")
        if extra.null_count < len(extra):
            speaks = pc.fill_null(pc.match_substring(extra, '"rotation":'), False).to_numpy(zero_copy_only=False)
            for row in np.flatnonzero(speaks & self.flat.is_type("bbox")).tolist():
                odd[row] = json_text.loads(extra[row].as_py()).get("rotation") is not None
        return odd

    def meet(self, categories: Categories) -> Met:
        """The categories of those that are kept; unknown ones are added and noted."""
        kept = kept_only(self.flat.value, self.told.kept)
        met = categories.meet(kept, self.flat.type, self.column("keypoints"))
        self.told.alter(NO_CLASS, ~met.known)
        return met


def shape_batches(labels: Labels, pictures: Pictures, tally: Tally) -> Iterator[ShapeBatch]:
    """All annotations, a batch of tasks at a time, in the order of the labels."""
    sizes = np.column_stack([pictures.width, pictures.height])
    for tasks in task_batches(labels, NEEDS):
        picture = pictures.rows_of(tasks["task_id"])
        flat = flatten(tasks)
        names = one_array(tasks["name"])
        ids = pc.struct_field(pc.list_flatten(one_array(tasks["annotations"])), "annotation_id")
        told = tally.batch(flat.type, flat.task, names, ids)
        yield ShapeBatch(tasks, picture, flat, sizes[picture][flat.task], boxes(flat), told)


def each_batch(
    labels: Labels,
    pictures: Pictures,
    tally: Tally,
    make: Callable[[ShapeBatch], Made],
    *,
    ahead: bool = False,
) -> Iterator[Made]:
    """What ``make`` makes of all annotations, a batch of tasks at a time, in the order of the labels.

    ``ahead``: of many batches the next is made in another thread while whoever asks uses one; no two are made at the
    same time. That is for who writes one long file: small files keep two threads of the store busy.
    Progress is told in the thread that asks, of batches that have been used.
    """

    def counted(batch: ShapeBatch) -> tuple[Made, int]:
        batch.told.ahead = True
        return make(batch), batch.tasks.num_rows

    batches = shape_batches(labels, pictures, tally)
    for first in batches:
        made = chain([counted(first)], map(counted, batches))
        many = _MANY_BATCHES * first.tasks.num_rows < len(pictures)
        for item, tasks in one_ahead(made) if ahead and many else made:
            yield item
            tally.advance(tasks)
