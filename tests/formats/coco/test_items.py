"""A file whose annotations are read piece by piece says the same as one that is parsed at once."""

from __future__ import annotations

import copy
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats
from fastlabel_dagster.formats.coco.items import Items, items_of_document

Json = dict[str, Any]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of some annotations each, so that these files have several; and their pages are given back."""
    monkeypatch.setattr("fastlabel_dagster.formats.coco.pages._WORTHWHILE", 1)
    monkeypatch.setattr("fastlabel_dagster.formats.coco.items._PIECE_BYTES", 200)
    monkeypatch.setattr("fastlabel_dagster.formats.coco.items._PIECE_ITEMS", 4)


def annotation(number: int, image: int = 1, **more: Any) -> Json:
    row = {"id": number, "image_id": image, "category_id": 1 + number % 2, "bbox": [number, 2.5, 10, 20]}
    return {**row, "area": 200.0, "iscrowd": 0, "segmentation": [], **more}


def document(*annotations: Json, **more: Any) -> Json:
    images = [{"id": place, "file_name": f"{place}.jpg", "width": 640, "height": 480} for place in (1, 2, 3)]
    categories = [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat", "keypoints": ["a", "b"], "skeleton": []}]
    return {"info": {}, "images": images, "annotations": list(annotations), "categories": categories, **more}


RING = [1, 2, 3.5, 4, 5, 9]
DOCUMENTS = {
    "boxes": document(*(annotation(number, 1 + number % 3) for number in range(30))),
    "polygons": document(*(annotation(number, segmentation=[RING] * (number % 3)) for number in range(9))),
    "poses": document(*(annotation(number, keypoints=[5, 6.5, 2, 0, 0, 0], num_keypoints=1) for number in range(9))),
    "predictions": document(*(annotation(number, score=0.25 * number) for number in range(9))),
    "crowds": document(*(annotation(number, iscrowd=number % 2) for number in range(9))),
    "named by text": document(*(annotation(number) | {"id": f"a{number}", "note": "], {"} for number in range(9))),
    "nulls": document(annotation(1), annotation(2, bbox=None, segmentation=None), annotation(3)),
    "the same id again": document(annotation(1), annotation(1, 2), annotation(2)),
    "ids nobody lists": document(annotation(1, 9), annotation(2, category_id=9), annotation(3)),
    "run lengths": document(
        annotation(1, segmentation=[RING]),
        *(annotation(n, segmentation={"counts": [6, 2, 1], "size": [3, 3]}, area=n / 2) for n in range(2, 6)),
    ),
    "attributes": document(*(annotation(number, attributes={"a": [number, "], ["]}) for number in range(9))),
    "poses with outlines": document(
        *(
            annotation(
                number, keypoints=[number + 1, 6.5, 2, 0, 0, 0], category_id=2, segmentation=[RING, [1, 2], RING]
            )
            for number in range(9)
        )
    ),
    "other names now and then": document(
        *(annotation(number) | ({"score": 0.5} if number % 3 else {"note": 1}) for number in range(9))
    ),
    "something else": document(annotation(1, bbox=[1, None, 2, 3]), annotation(2, bbox="1"), annotation(3, bbox=7)),
    "ids of any kind": document(*(annotation(1) | {"id": one} for one in (2**64, 1.5, 1, "1", True, 3, 3, 4))),
    "whole numbers and others": document(*(annotation(1, area=one, score=one) for one in (1, 0.5, 2, None, 1.0, -0.0))),
    "turned": document(annotation(1, rotation=30.0, segmentation=[[0, 0, 10, 0, 10, 5, 0, 5]])),
    "stray values": document(
        annotation(1, bbox=[1, 2, 3]), annotation(2, bbox=[]), annotation(3, bbox=[0, 0, 1e12, 1])
    ),
    "categories first": {**document(), **document(annotation(1), annotation(2))},
}
for _name, _order in (("annotations last", ("categories", "images", "annotations")), ("annotations first", ())):
    _whole = document(*(annotation(number) for number in range(5)))
    DOCUMENTS[_name] = {key: _whole[key] for key in dict.fromkeys([*_order, "annotations", *_whole])}


def read(folder: Path, text: str) -> tuple[list[Json], list[Json], tuple[Any, ...]]:
    folder.mkdir(exist_ok=True)
    (folder / "annotations.json").write_text(text)
    labels = formats.read(folder, format="coco")
    report = labels.report
    return labels.tasks.to_pylist(), labels.classes.to_pylist(), (report.dropped, report.altered, report.noticed)


def read_the_long_way(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as changed:
        changed.setattr("fastlabel_dagster.formats.coco.files.items_of_document", lambda data: None)
        return read(folder, text)


@pytest.mark.parametrize("name", DOCUMENTS)
@pytest.mark.parametrize("layout", [{}, {"separators": (",", ":")}, {"indent": 1}])
def test_it_reads_the_same(tmp_path: Path, name: str, layout: Json, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(DOCUMENTS[name], **layout)
    taken = items_of_document(text.encode())
    assert taken is not None
    assert isinstance(taken["annotations"], Items)
    assert repr(read(tmp_path, text)) == repr(read_the_long_way(tmp_path, text, monkeypatch))


@pytest.mark.parametrize(
    "odd", [None, 7, [], annotation(5, marks=[{"a": 1}, {"b": 2}]), annotation(5, note="a}, {b"), math.nan]
)
def test_what_cannot_be_cut_is_parsed_at_once(tmp_path: Path, odd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = json.dumps(document(*(annotation(number) for number in range(4)), *[odd] * 9))
    assert items_of_document(text.encode()) is None
    assert repr(read(tmp_path, text)) == repr(read_the_long_way(tmp_path, text, monkeypatch))


@pytest.mark.parametrize(
    "text",
    [
        '{"images":[],"annotations":[{"id":1}]',
        '{"images":[],"annotations":[{"id":1},]}',
        '{"images":[],"annotations":[{"id":1}]}}',
        '{"images":[],"annotations":[{"id":1}],"annotations":[]}',
        '{"images":[],"info":{"annotations":[{"id":1}]}}',
        '["annotations", [{"id":1}]]',
        '{"images":[],"a":"\\"annotations\\":[{}]"}',
        '{"images":[],"annotations":[{"id":1,"note":"%s"}\v,\f{"id":2}]}' % ("x" * 200),
        '{"annotations":[]}',
        "",
    ],
)
def test_what_is_no_such_document_is_none(text: str) -> None:
    assert items_of_document(text.encode()) is None
    assert items_of_document(b'{"annotations":[{"id":1,"name":"\xff"}]}') is None


def test_attributes_that_are_none_are_told(tmp_path: Path) -> None:
    """Those in front of one JSON has no text for are read."""
    deep = json.loads("[" * 300 + "]" * 300)
    given = [{"a": 1, "b": deep, "c": 3}, ["a"], 7, {}, [], None, {"d": "x"}, {"e": False, "f": ["y"]}]
    rows = [annotation(number, iscrowd=number % 2, attributes=one) for number, one in enumerate(given)]
    (tmp_path / "annotations.json").write_text(json.dumps(document(*rows)))
    labels = formats.read(tmp_path, format="coco")
    found = {
        int(row["annotation_id"]): [(one["key"], one["value"]) for one in row["attributes"] if one["key"] != "iscrowd"]
        for row in labels.annotations.to_pylist()
    }
    said: Json = {0: [("a", "1")], 6: [("d", "x")], 7: [("e", "false"), ("f", '["y"]')]}
    assert found == {number: said.get(number, []) for number in range(len(given))}
    (told,) = labels.report.altered
    assert (told.reason, told.count) == ("attributes that are not an object of JSON values were left out", 3)


PEAK = """
import sys
import pyarrow as pa
from pathlib import Path
from fastlabel_dagster import formats

def kilobytes(name):
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))

count = formats.read(sys.argv[1], format="coco").annotations.num_rows
print(pa.default_memory_pool().max_memory() // count)
if Path("/proc/self/status").exists():
    before = kilobytes("VmRSS:")
    assert formats.read(sys.argv[2], format="coco").annotations.num_rows == count
    print(1024 * (kilobytes("VmHWM:") - before) // count)
"""


def test_annotations_are_read_in_little_more_memory_than_their_columns_need(tmp_path: Path) -> None:
    """An annotation's columns need 143 bytes here; 472 were taken when a table of hashes was made of the ids. With
    three attributes each the process grows by 200 bytes an annotation; by 920 when all objects of the file were
    kept."""
    count = 70_000
    row = '{"id": %d, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "attributes": %s}'
    head = '{"images": [{"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}], "annotations": ['
    for name, attributes in (("plain", "{}"), ("more", '{"occluded": true, "colour": "red", "note": "n%d"}')):
        rows = ",".join(row % (n, attributes.replace("%d", str(n))) for n in range(count))
        (tmp_path / f"{name}.json").write_text(f'{head}{rows}], "categories": [{{"id": 1, "name": "dog"}}]}}')
    command = [sys.executable, "-c", PEAK, str(tmp_path / "plain.json"), str(tmp_path / "more.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    most = [180, 450]
    found = [int(line) for line in done.stdout.split()]
    assert all(one < limit for one, limit in zip(found, most, strict=False)), found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(DOCUMENTS)), st.data())
def test_one_odd_value_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, data: st.DataObject
) -> None:
    content = copy.deepcopy(DOCUMENTS[name])
    part = content[data.draw(st.sampled_from(["annotations", "images"]))]
    row = data.draw(st.sampled_from(part))
    key = data.draw(st.sampled_from(sorted(row)))
    odd = [None, [], {}, "", "x", True, 0, -1, -0.0, 1.5, 2**53 + 1, 2**70, [1], [[1, 2]], [None], {"counts": "0"}]
    what = data.draw(st.sampled_from([*odd, "remove"]))
    if what == "remove":
        del row[key]
    else:
        row[key] = what
    text = json.dumps(content)
    assert repr(_outcome(read, tmp_path, text)) == repr(_outcome(read_the_long_way, tmp_path, text, monkeypatch))


def _outcome(how: Any, *given: Any) -> Any:
    try:
        return how(*given)
    except formats.FormatError as error:
        return error.problem
