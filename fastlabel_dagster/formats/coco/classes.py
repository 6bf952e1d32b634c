"""The categories of COCO files as classes, and which class a category id means."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pyarrow as pa

from fastlabel_dagster.formats.assembly import FoundClass
from fastlabel_dagster.formats.coco.columns import is_id, looked_up
from fastlabel_dagster.formats.coco.declared import read_declared
from fastlabel_dagster.formats.coco.files import CocoFile
from fastlabel_dagster.formats.unread import SAYS_NOTHING, differ, unread_names
from fastlabel_dagster.labels.ragged import Bools, Ints
from fastlabel_dagster.labels.report import EXAMPLES, FILE, ReadTally

_LARGEST = 2**63 - 1
_LARGEST_ID = 2**53  # what programs that only know doubles have no whole number beyond
#: What is read of a category, but for its id.
_READ = frozenset(
    (
        *("name", "supercategory", "title", "color", "types", "isthing", "attributes"),
        *("keypoints", "skeleton", "keypoint_colors"),
    )
)
_UNREAD = "categories with a field that FastLabel has no place for, which was not read"
_UNFIT = "fields of a category that are not what they should be were left out, or read as texts"
_NAMELESS = "a category whose name is no text is called by its number, its supercategory or its id"
_UNLIKE = "categories of one name that say different things: one of them was read"
_RENUMBERED = "category ids that cannot be the order of classes, so all were numbered anew: whole numbers from 1 on can"
_KEPT = "category ids that cannot be the order of classes, so all were numbered anew; COCO exports have the file's ids"
#: In the ``extra`` of a class: the id of its category, where that is not its order.
CATEGORY_ID = "coco_id"


class ClassBook:
    """The classes of a dataset: one per category name over all its files, in the order they are first met."""

    def __init__(self, files: Iterable[CocoFile], told: ReadTally) -> None:
        self._told = told
        self.classes: list[FoundClass] = []
        self._place: dict[str, int] = {}
        #: By file: category id -> place in ``classes``.
        self._files: dict[str, dict[Any, int]] = {}
        #: By class value: its ids, and what its first category says beside its id.
        ids: dict[str, dict[Any, str]] = {}
        first: dict[str, dict[str, Any]] = {}
        for file in files:
            known = self._files[file.name] = {}
            unread: dict[str, int] = {}
            for category in as_objects(file, "categories", told):
                identity = category.get("id")
                where = f"{file.name}, category {identity!s:.40}"
                if not is_id(identity):
                    told.notice("a category without an id", where=f"{file.name}, categories")
                    continue
                if identity in known:
                    told.notice("categories whose id another one has already", where=where)
                    continue
                value = _value(category)
                if value in self._place and self._place[value] in known.values():
                    told.notice("categories of one name were read as one class", "class", where=where)
                said = {name: content for name, content in category.items() if name != "id"}
                if differ(first.setdefault(value, said), said):
                    told.notice(_UNLIKE, "class", where=where)
                self._tell_of_keypoints(category, where)
                self._tell_of_unfit(category, where)
                for name in unread_names(said, _READ):
                    unread[name] = unread.get(name, 0) + 1
                ids.setdefault(value, {}).setdefault(identity, where)
                known[identity] = self._add(value, identity, category)
            for name, count in unread.items():
                told.notice(_UNREAD, "class", where=f"{file.name}, {name:.100}", count=count)
        self._number(ids)

    def numbers(self, file: CocoFile, ids: list[Any] | pa.Array, wanted: Bools) -> Ints:
        """The places in :attr:`classes` of these category ids; an id the file does not list becomes a class of its
        own where it is ``wanted``."""
        known = self._files[file.name]
        numbers = looked_up(ids, known)
        unlisted = np.flatnonzero((numbers < 0) & wanted).tolist()
        if unlisted and isinstance(ids, pa.Array):
            ids = ids.to_pylist()
        for row in unlisted:
            identity = ids[row] if is_id(ids[row]) else None
            if identity not in known:
                known[identity] = self._unlisted(identity)
            numbers[row] = known[identity]
            self._told.notice(
                "categories that annotations name but the file does not list",
                where=f"{file.name}, category {identity!s:.40}",
            )
        return numbers

    def _add(self, value: str, identity: Any, category: dict[str, Any]) -> int:
        keypoints = [str(key) for key in _list(category.get("keypoints"))]
        place = self._place.setdefault(value, len(self.classes))
        if place == len(self.classes) or (keypoints and not self.classes[place].keypoints):
            found = FoundClass(
                value,
                _order(identity),
                _text(category.get("title")),
                _color(category.get("color")),
                [kind for kind in _list(category.get("types")) if isinstance(kind, str)],
                keypoints,
                list(_edges(category.get("skeleton"))),
                [_color(color) for color in _list(category.get("keypoint_colors"))],
                attributes=read_declared(category.get("attributes")),
            )
            above = _text(category.get("supercategory"))
            if above and above != value:  # the name is what is written when nobody says otherwise
                found.extra["supercategory"] = above
            if category.get("isthing") == 0:
                found.extra["isthing"] = 0
            self.classes[place : place + 1] = [found]
        return place

    def _number(self, ids: dict[str, dict[Any, str]]) -> None:
        """Ids become orders while they are whole numbers and the same in all files; else the classes are numbered as
        they come, which is told, and keep their ids where COCO can have them. ``ids``: class value -> id -> where it
        stands."""
        orders = [one.order for one in self.classes]
        if 0 in orders or len(set(orders)) < len(orders) or any(len(of_value) > 1 for of_value in ids.values()):
            for order, one in enumerate(self.classes, start=1):
                one.order = order
            moved = [
                f"{where} is {one.order}"
                for one in self.classes
                for identity, where in ids[one.value].items()
                if _order(identity) != one.order
            ]
            own = {value: next(iter(of_value)) for value, of_value in ids.items() if len(of_value) == 1}
            kept = len(own) == len(ids) and all(type(one) is int and 0 <= one < _LARGEST_ID for one in own.values())
            for one in self.classes if kept else ():
                one.extra[CATEGORY_ID] = own[one.value]
            self._told.notice(_KEPT if kept else _RENUMBERED, "class", where=moved[:EXAMPLES], count=len(moved))
        self._orders = {one.order for one in self.classes}
        self._highest = max(self._orders, default=0)

    def _tell_of_keypoints(self, category: dict[str, Any], where: str) -> None:
        keypoints, skeleton = category.get("keypoints"), category.get("skeleton")
        if not isinstance(keypoints or [], list):
            self._told.notice("keypoints of a category that are no list were left out", "class", where=where)
        ends = range(1, len(_list(keypoints)) + 1)
        whole = [start in ends and end in ends for start, end in _edges(skeleton)]
        if skeleton and not (isinstance(skeleton, list) and len(whole) == len(skeleton) and all(whole)):
            self._told.notice(
                "edges of a skeleton that are no two of its keypoints were left out", "class", where=where
            )

    def _tell_of_unfit(self, category: dict[str, Any], where: str) -> None:
        if not _text(category.get("name")):
            self._told.notice(_NAMELESS, "class", where=where)
        unfit = [name for name in _FITS if category.get(name) not in SAYS_NOTHING and not _FITS[name](category[name])]
        colors = category.get("keypoint_colors")
        if isinstance(colors, list) and len(colors) > len(_list(category.get("keypoints"))):
            unfit.append("keypoint_colors")
        if unfit:
            self._told.notice(_UNFIT, "class", where=f"{where}: {', '.join(dict.fromkeys(unfit))}")

    def _unlisted(self, identity: Any) -> int:
        value = f"category_{identity!s:.40}"
        if value not in self._place:
            order = _order(identity)
            if not order or order in self._orders:
                order = min(self._highest, _LARGEST - 1) + 1
            self._orders.add(order)
            self._highest = max(self._highest, order)
            self._place[value] = len(self.classes)
            self.classes.append(FoundClass(value, order))
        return self._place[value]


def as_objects(file: CocoFile, part: str, told: ReadTally) -> Iterable[dict[str, Any]]:
    """The JSON objects of a list of the file; what is none is told and left out."""
    given = file.content.get(part)
    if not isinstance(given, list) and given not in SAYS_NOTHING:
        told.notice(f"{part} that are no list were not read", FILE, where=file.name)
    for place, item in enumerate(_list(given), start=1):
        if isinstance(item, dict):
            yield item
        else:
            told.notice(f"an entry of {part} that is not a JSON object", where=f"{file.name}, {part} #{place}")


def _value(category: dict[str, Any]) -> str:
    for key in ("name", "supercategory"):
        if _text(category.get(key)):
            return str(category[key])
    name = category.get("name")
    return str(name) if type(name) in (int, float) else f"category_{category['id']!s:.40}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _color(value: Any) -> str | None:
    """``#rrggbb``, also where it is written as three numbers, as in panoptic files."""
    if isinstance(value, list) and len(value) == 3 and all(type(part) is int and 0 <= part <= 255 for part in value):
        return "#" + bytes(value).hex()
    return _text(value)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _order(identity: Any) -> int:
    """A category id as an order; 0 when it is not a whole number an order can be."""
    whole = isinstance(identity, int | float) and not isinstance(identity, bool) and identity == identity // 1
    return int(identity) if whole and 0 < identity <= _LARGEST // 2 else 0


def _edges(skeleton: Any) -> Iterable[tuple[int, int]]:
    for edge in _list(skeleton):
        if isinstance(edge, list) and len(edge) == 2 and all(type(end) is int for end in edge):
            yield edge[0], edge[1]


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


#: Field of a category -> whether a value that says something can be read as it is; keypoints that are no list, and
#: skeletons, are told by themselves.
_FITS: dict[str, Callable[[Any], bool]] = {
    "supercategory": lambda value: isinstance(value, str),
    "title": lambda value: isinstance(value, str),
    "color": lambda value: _color(value) is not None,
    "types": _are_texts,
    "isthing": lambda value: value in (0, 1),
    "attributes": lambda value: isinstance(value, list) and len(read_declared(value)) == len(value),
    "keypoints": lambda value: not isinstance(value, list) or _are_texts(value),
    "keypoint_colors": lambda value: isinstance(value, list) and all(one is None or _color(one) for one in value),
}
