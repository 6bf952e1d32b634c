"""FastLabel's own JSON on disk: what is read, what is written, and what becomes of damage."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats.errors import FormatError, LossError
from tests.labels.test_round_trip import same_json
from tests.labels.test_round_trip import tasks as any_tasks

TIME = "2021-02-22T11:25:27.158Z"
COMMON = {
    "status": "registered",
    "externalStatus": "registered",
    "priority": 10,
    "tags": ["tag1"],
    "assignee": "ASSIGNEE_NAME",
    "reviewer": None,
    "createdAt": TIME,
    "updatedAt": TIME,
}


def read(path: Path, **options: Any) -> labels.Labels:
    return formats.read(path, format="fastlabel", **options)


def tasks_of(content: labels.Labels) -> list[dict[str, Any]]:
    return list(labels.to_fastlabel(content))


def notes(report: Any, fate: str = "dropped") -> list[tuple[str, int, tuple[str, ...]]]:
    return [(note.reason, note.count, note.examples) for note in getattr(report, fate)]


# -------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("indent", [None, 2])
def test_a_dumped_answer(tmp_path: Path, bench: Any, indent: int | None) -> None:
    answer = [bench.task("a.jpg", bench.shape("bbox", [1, 2, 3.5, 4]), **COMMON), bench.task("b.jpg")]
    (tmp_path / "dump.json").write_text(json.dumps(answer, indent=indent))
    content = read(tmp_path / "dump.json")
    assert tasks_of(content) == answer
    assert (content.report.tasks, content.report.annotations, content.report.dropped) == (2, 1, ())
    assert content.report.altered == content.report.noticed == ()


def test_a_folder_of_pages_with_classes(tmp_path: Path, bench: Any) -> None:
    pages = [[bench.task("a.jpg")], [bench.task("b.jpg"), bench.task("c.jpg")]]
    for number, page in enumerate(pages):
        (tmp_path / f"page-{number}.json").write_text(json.dumps(page))
    (tmp_path / "page-2.jsonl").write_text(json.dumps(bench.task("d.jpg")) + "\n")
    classes = [bench.klass("dog", 3), bench.klass("cat", 1)]
    (tmp_path / "annotations.json").write_text(json.dumps(classes))
    content = read(tmp_path)
    assert [task["name"] for task in tasks_of(content)] == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert labels.classes_to_fastlabel(content.classes) == classes
    assert read(tmp_path / "page-1.json").tasks.num_rows == 2
    assert read(tmp_path / "annotations.json").tasks.num_rows == 4


def test_classes_are_made_from_the_annotations_where_nobody_says_them(tmp_path: Path, bench: Any) -> None:
    points = [
        {"key": "head", "name": "Head", "value": [1, 2, 1], "edges": ["tail"]},
        {"key": "tail", "name": "Tail", "value": [3, 4, 0], "edges": ["head"]},
    ]
    task = bench.task(
        "a.jpg",
        bench.shape("bbox", [1, 2, 3, 4], "zebra", title="Zebra", color="#112233"),
        bench.shape("polygon", [1, 2, 3, 4, 5, 6], "dog"),
        bench.shape("polygon", [1, 2, 3, 4, 5, 6], "zebra", title="Other", color="#445566"),
        bench.shape("polygon", [1, 2, 3, 4, 5, 6], "zebra"),
        bench.shape("pose_estimation", None, "ape", keypoints=points),
        bench.shape("bbox", [1, 2, 3, 4], value=None),
    )
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    rows = read(tmp_path).classes.to_pylist()
    assert [(row["value"], row["type"], row["title"], row["color"]) for row in rows] == [
        ("ape", "pose_estimation", "ape", "#ff0000"),
        ("dog", "polygon", "dog", "#ff0000"),
        ("zebra", "polygon", "Zebra", "#112233"),
        ("zebra", "bbox", "Zebra", "#112233"),
    ]
    assert [(point["key"], point["edges"]) for point in rows[0]["keypoints"]] == [
        ("head", ["tail"]),
        ("tail", ["head"]),
    ]
    assert [row["order"] for row in rows] == [1, 2, 3, 4]


def test_made_classes_have_the_points_of_all_poses(tmp_path: Path, bench: Any) -> None:
    def pose(*points: tuple[str, list[str]]) -> dict[str, Any]:
        said = [{"key": key, "name": key, "value": [1, 2, 1], "edges": edges} for key, edges in points]
        return bench.shape("pose_estimation", None, "ape", keypoints=said)

    poses = [pose(("tail", ["head"])), pose(("head", ["tail"])), pose(("arm", []), ("head", ["tail", "arm"]))]
    tasks = [bench.task(f"{number}.jpg", one) for number, one in enumerate(poses)]
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "tasks.json").write_text(json.dumps(tasks))
    content = read(tmp_path / "source")
    (row,) = content.classes.to_pylist()
    assert [(point["key"], point["edges"]) for point in row["keypoints"]] == [
        ("tail", ["head"]),
        ("head", ["tail", "arm"]),
        ("arm", ["head"]),
    ]
    report = formats.write(content, format="coco", target=tmp_path / "coco", pictures=False)
    assert (report.written, report.altered) == (3, ())
    written = json.loads((tmp_path / "coco" / "annotations.json").read_text())["annotations"]
    assert [one["num_keypoints"] for one in written] == [1, 1, 2]


def test_one_bad_task_costs_no_other(tmp_path: Path, bench: Any) -> None:
    good = [bench.task(f"{number}.jpg") for number in range(3)]
    deep = "[" * 3000 + "]" * 3000
    text = (
        f'[{json.dumps(good[0])}, {{"id": oops}}, null, {json.dumps(good[1])}, {{"a": {deep}}}, {json.dumps(good[2])}'
    )
    (tmp_path / "tasks.json").write_text(text)
    content = read(tmp_path)
    assert tasks_of(content) == good[:2] + good[2:]
    told = {reason: (count, examples) for reason, count, examples in notes(content.report)}
    assert told["it is no object but NoneType"] == (1, ("tasks.json, task 3",))
    assert sum(count for count, _ in told.values()) == 4  # and the list that does not end
    assert content.report.dropped_count == 0, "tasks are no annotations"
    with pytest.raises(LossError):
        read(tmp_path, strict=True)


def test_nothing_to_read_is_an_error_that_names_the_file_and_the_place(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "gone")
    with pytest.raises(FileNotFoundError, match=r"tasks\.jsonl"):
        read(tmp_path)
    (tmp_path / "tasks.json").write_text('[{"id": "a", "name": ')
    with pytest.raises(FormatError, match=r"tasks\.json, task 1 \(byte 1\).*byte 21"):
        read(tmp_path)
    (tmp_path / "tasks.json").write_text("[]")
    assert read(tmp_path).tasks.num_rows == 0


def test_a_file_of_another_format_is_no_task(tmp_path: Path) -> None:
    coco = {"images": [], "annotations": [], "categories": []}
    for text in (json.dumps(coco), json.dumps(coco, indent=2)):
        (tmp_path / "instances.json").write_text(text)
        with pytest.raises(FormatError, match=r"instances\.json.*neither id nor name"):
            read(tmp_path / "instances.json")


def test_ids(tmp_path: Path, bench: Any) -> None:
    without = {"name": "x.jpg", "annotations": []}
    rows = [bench.task("a.jpg"), without, {**bench.task("a.jpg"), "status": "again"}, {"id": 7, "name": "seven"}]
    (tmp_path / "tasks.json").write_text(json.dumps(rows))
    content = read(tmp_path)
    ids = content.tasks["task_id"].to_pylist()
    assert ids[0] == "id-a.jpg"
    assert None not in ids
    assert len(set(ids)) == 3
    assert notes(content.report) == [("a task of the same id came before it", 1, ("tasks.json, task 3",))]
    assert [count for _, count, _ in notes(content.report, "altered")] == [2]
    assert tasks_of(content)[2] == {"id": 7, "name": "seven"}, "what the JSON says wins"
    assert read(tmp_path).tasks["task_id"].to_pylist() == ids


def test_two_files_of_the_same_tasks(tmp_path: Path, bench: Any) -> None:
    rows = [bench.task("a.jpg"), bench.task("b.jpg")]
    for name in ("monday.json", "tuesday.json"):
        (tmp_path / name).write_text(json.dumps(rows))
    content = read(tmp_path)
    assert content.tasks["task_id"].to_pylist() == ["id-a.jpg", "id-b.jpg"]
    where = ("tuesday.json, task 1", "tuesday.json, task 2")
    assert notes(content.report) == [("a task of the same id came before it", 2, where)]


def test_a_dataset_brings_no_file_of_the_machine(tmp_path: Path, bench: Any) -> None:
    (tmp_path / "secret").write_text("of this machine")
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    (source / "images" / "b.jpg").symlink_to(tmp_path / "secret")
    (source / "images" / "c.jpg").write_bytes(b"picture")
    names = ["a.jpg", "b.jpg", "c.jpg", "../secret", "d.jpg"]
    rows = [bench.task(name, url=f"file://{tmp_path}/secret") for name in names[:4]]
    rows.append(bench.task("d.jpg", url="https://example.com/d.jpg"))
    (source / "tasks.json").write_text(json.dumps(rows))
    content = read(source)
    urls = content.tasks["url"].to_pylist()
    assert urls == [None, None, f"file://{source}/images/c.jpg", None, "https://example.com/d.jpg"]
    assert notes(content.report, "altered") == [
        ("its url named a file of a machine; it was left out", 4, tuple(names[:4]))
    ]
    report = formats.write(content, format="fastlabel", target=tmp_path / "out")
    assert (tmp_path / "out" / "images" / "c.jpg").read_bytes() == b"picture"
    assert not any(b"secret" in path.read_bytes() for path in (tmp_path / "out").rglob("*.jpg"))
    assert report.tasks == 5


@pytest.mark.parametrize("format", ["fastlabel", "parquet"])
def test_nor_do_the_contents_of_its_tasks(tmp_path: Path, bench: Any, format: str) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(cv2.imencode(".png", np.zeros((80, 100, 3), np.uint8))[1].tobytes())
    urls = [secret.as_uri(), "https://example.com/2.png", f" FILE://{secret}"]
    contents = [{"name": f"{number}.png", "url": url, "width": 100} for number, url in enumerate(urls)]
    tasks = [bench.task("several", contents=contents), bench.task("none", contents=[]), bench.task("single.jpg")]
    content = bench.labels(*tasks)
    expected = [
        {**one, "url": None if "secret" in str(one["url"]) else one["url"], "height": None, "extra": None}
        for one in contents
    ]
    formats.write(content, format=format, target=tmp_path / "ours")
    back = formats.read(tmp_path / "ours", format=format)
    assert back.tasks["contents"].to_pylist() == [expected, [], None]
    assert back.report is not None and not back.report.altered

    if format == "fastlabel":
        (tmp_path / "theirs").mkdir()
        (tmp_path / "theirs" / "tasks.json").write_text(json.dumps(tasks))
    else:
        shutil.copytree(tmp_path / "ours", tmp_path / "theirs")
        path = tmp_path / "theirs" / "tasks" / "part-00000.parquet"
        table = pq.read_table(path)
        place = table.column_names.index("contents")
        pq.write_table(table.set_column(place, table.field(place), content.tasks["contents"]), path)
    theirs = formats.read(tmp_path / "theirs", format=format)
    assert theirs.tasks["contents"].to_pylist() == [expected, [], None]
    assert notes(theirs.report, "altered") == [("its url named a file of a machine; it was left out", 1, ("several",))]
    formats.write(theirs, format="coco", target=tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.png"))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(rows=st.lists(any_tasks, max_size=4), layout=st.sampled_from(["json", "jsonl"]))
def test_any_tasks_come_back_from_disk(tmp_path_factory: Any, rows: list[dict[str, Any]], layout: str) -> None:
    """Anything JSON has a word for: the same as in memory, but for URLs of files and ids that were missing."""
    folder = tmp_path_factory.mktemp("any")
    for number, row in enumerate(rows):
        row["id"] = f"task {number}"
        if isinstance(row.get("url"), str) and row["url"].strip().lower().startswith("file:"):
            del row["url"]
    finite = json.loads(json.dumps(rows), parse_constant=lambda _: None)
    if not same_json(finite, rows):
        rows = finite
    formats.write(labels.from_fastlabel(rows), format="fastlabel", target=folder / "out", layout=layout)
    content = read(folder / "out")
    assert content.report.dropped == ()
    assert same_json(tasks_of(content), rows)


# ------------------------------------------------------------------------------------------------- writing


def test_layouts_and_classes(tmp_path: Path, bench: Any, tree: Any) -> None:
    rows = [bench.task("b.jpg", bench.shape("bbox", [1, 2, 3, 4])), bench.task("a.jpg")]
    content = bench.labels(*rows, classes=[bench.klass("dog", maxAreaCount=3)])
    report = formats.write(content, format="fastlabel", target=tmp_path / "lines")
    assert (report.annotations, report.written, report.images, report.files) == (1, 1, 2, 2)
    files = tree(tmp_path / "lines")
    assert [orjson.loads(line) for line in files["tasks.jsonl"].splitlines()] == rows
    assert orjson.loads(files["classes.json"]) == [bench.klass("dog", maxAreaCount=3)]
    assert sum(len(data) for path, data in files.items() if path != "report.json") == report.bytes
    formats.write(content, format="fastlabel", target=tmp_path / "list", layout="json")
    assert orjson.loads((tmp_path / "list" / "tasks.json").read_bytes()) == rows
    with pytest.raises(ValueError, match="layout"):
        formats.write(content, format="fastlabel", target=tmp_path / "other", layout="yaml")


def test_numbers_that_json_cannot_say_are_told(tmp_path: Path, bench: Any) -> None:
    bad, good = bench.shape("bbox", [1, float("nan"), 3, 4]), bench.shape("bbox", [1, 2, 3, 4])
    huge = {**good, "extraKey": 10**30, "half": "\ud800"}
    content = bench.labels(bench.task("a.jpg", good, bad, huge), bench.task("b.jpg", duration=float("inf")))
    report = formats.write(content, format="fastlabel", target=tmp_path / "out")
    assert [(note.type, note.count) for note in report.altered] == [("bbox", 1), ("task", 1)]
    back = tasks_of(read(tmp_path / "out"))
    assert back[0]["annotations"] == [good, {**bad, "points": [1, None, 3, 4]}, huge]
    assert back[1]["duration"] is None


@pytest.mark.parametrize("layout", ["json", "jsonl", "indented"])
def test_whole_numbers_of_any_size_are_read_as_they_are(tmp_path: Path, bench: Any, layout: str) -> None:
    huge = bench.shape("bbox", [1, 2, 3, -(2**63) - 1], trackId=2**64, attributes=[{"key": "n", "value": 10**30}])
    rows = [bench.task("a.jpg", bench.shape("bbox", [1, 2, 3, 4])), bench.task("b.jpg", huge, frameCount=2**70)]
    rows = rows[1:] if layout == "indented" else rows
    text = json.dumps(rows[0], indent=2) if layout == "indented" else json.dumps(rows)
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / "dump.json").write_text(lines if layout == "jsonl" else text)
    content = read(tmp_path / "dump.json")
    assert tasks_of(content) == rows
    assert content.report.dropped == content.report.altered == ()
    formats.write(content, format="fastlabel", target=tmp_path / "out")
    assert tasks_of(read(tmp_path / "out")) == rows


@pytest.mark.parametrize("most", [1.5, math.nan])
def test_what_is_nested_deep_is_written(tmp_path: Path, bench: Any, most: float) -> None:
    text = '{"a":' * 800 + "1" + "}" * 800
    bad = bench.shape("bbox", [1, 2, 3, most], deep=json.loads(text))
    report = formats.write(bench.labels(bench.task("a.jpg", bad)), format="fastlabel", target=tmp_path / "out")
    line = (tmp_path / "out" / "tasks.jsonl").read_text()
    assert text in line
    assert json.loads(line)["annotations"][0]["points"] == [1, 2, 3, None if math.isnan(most) else most]
    assert report.altered_count == math.isnan(most)


def test_pictures_find_their_tasks_again(tmp_path: Path, bench: Any, pictures: Any) -> None:
    rows = [bench.task("a.jpg"), bench.task("dir/a.jpg"), bench.task("../evil.jpg"), bench.task("A.jpg")]
    content = bench.labels(*rows)
    folder = pictures(content, tmp_path / "pictures")
    formats.write(content, format="fastlabel", target=tmp_path / "out", images=folder)
    back = read(tmp_path / "out")
    urls = back.tasks["url"].to_pylist()
    assert None not in urls
    assert len(set(urls)) == 4
    assert all(url.startswith(f"file://{tmp_path}/out/images/") for url in urls)
    again = formats.write(back, format="fastlabel", target=tmp_path / "again")
    assert again.files == 4 + 3
    assert "file:" not in (tmp_path / "again" / "tasks.jsonl").read_text()


def test_labels_of_another_format_become_what_the_api_takes(tmp_path: Path, coco_mini: Path) -> None:
    content = formats.read(coco_mini, format="coco")
    formats.write(content, format="fastlabel", target=tmp_path / "out", pictures=False)
    for line in (tmp_path / "out" / "tasks.jsonl").read_text().splitlines():
        for annotation in json.loads(line)["annotations"]:
            assert {"type", "value"} <= annotation.keys()
            assert "points" in annotation or "keypoints" in annotation
    back = read(tmp_path / "out")
    assert tasks_of(back) == [{k: v for k, v in task.items() if k != "url"} for task in tasks_of(content)]
    assert back.classes.equals(content.classes)


# -------------------------------------------------------------------------------------------------- damage


def test_mutations_are_read_or_told(tmp_path: Path, bench: Any) -> None:
    """Bytes of a real file cut, doubled and changed: labels and a report, or an error of its own."""
    rows = [bench.task(f"{n}.jpg", bench.shape("bbox", [1, 2, 3, n]), **COMMON) for n in range(6)]
    whole = json.dumps(rows, indent=1).encode()
    dice = random.Random(4)
    path = tmp_path / "tasks.json"
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            at, length = dice.randrange(len(data)), dice.randrange(1, 40)
            change = dice.randrange(4)
            if change == 0:
                del data[at:]
            elif change == 1:
                del data[at : at + length]
            elif change == 2:
                data[at:at] = data[at : at + length]
            else:
                data[at] = dice.choice(b'"{}[],:\\\x00\xff9e-n')
            if not data:
                break
        path.write_bytes(data)
        try:
            content = read(tmp_path)
        except FormatError as error:
            assert "tasks.json" in str(error)
            continue
        content.tasks.validate(full=True)
        assert content.report.tasks == content.tasks.num_rows
        list(labels.to_fastlabel(content))


@pytest.mark.parametrize(
    "classes", ["", "{", "7", "[7]", '[{"value": 3}]', '{"a": {}}', "[[[[", '[{"value": "x"}, null]']
)
@pytest.mark.parametrize("files", ["", "[]", '{"id-a.jpg": 7}', '{"id-a.jpg": "../../etc/passwd"}'])
def test_odd_files_beside_the_tasks(tmp_path: Path, bench: Any, classes: str, files: str) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "z.jpg").write_bytes(b"")
    (tmp_path / "tasks.json").write_text(json.dumps([bench.task("a.jpg", bench.shape("bbox", [1, 2, 3, 4]))]))
    (tmp_path / "classes.json").write_text(classes)
    (tmp_path / "pictures.json").write_text(files)
    content = read(tmp_path)
    assert content.classes["value"].to_pylist() == ["x" if '"x"' in classes else "dog"]
    assert content.tasks["url"].to_pylist() == [None]


_MEMORY = """
import resource, sys
from pathlib import Path
import cv2
import numpy as np
import orjson
import pyarrow.parquet as pq
from fastlabel_dagster import formats

task = orjson.loads(sys.argv[2])
with open(sys.argv[1] + "/tasks.json", "wb") as file:
    for number in range(50_000):
        task["id"] = f"{number:032}"
        task["name"] = f"{number}.jpg"
        file.write((b"," if number else b"[") + orjson.dumps(task))
    file.write(b"]")
size = Path(sys.argv[1] + "/tasks.json").stat().st_size
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
labels = formats.read(sys.argv[1] + "/tasks.json", format="fastlabel")
report = formats.write(labels, format="yolo", target=sys.argv[1] + "/out")
print(size // 2**20, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, report.written)
"""


def test_memory_is_bounded(tmp_path: Path, bench: Any) -> None:
    """75 MB of JSON that would be half a gigabyte of Python objects."""
    shapes = [
        bench.shape("bbox", [10.5, 20, 30, 40 + n], rotation=0, confidenceScore=-1, keypoints=[]) for n in range(8)
    ]
    task = orjson.dumps(bench.task("x", *shapes, **COMMON)).decode()
    done = subprocess.run([sys.executable, "-c", _MEMORY, tmp_path, task], capture_output=True, text=True, check=True)
    size, grown, written = map(int, done.stdout.split())
    assert size >= 75
    assert written == 400_000
    assert grown < 450, "MiB"


def test_a_long_file_whose_tasks_change_their_looks(tmp_path: Path, bench: Any) -> None:
    """Most of it is read by columns, some of it object by object: nobody can tell which."""
    regions = [[[1, 1, 9, 1, 9, 9, 1, 1], [2, 2, 3, 2, 3, 3, 2, 2]]]
    looks = [
        lambda number: bench.task(f"{number}.jpg", bench.shape("bbox", [1, 2, 3.5, number]), **COMMON),
        lambda number: bench.task(f"{number}.jpg", bench.shape("segmentation", regions), memo=f"{number}"),
        lambda number: bench.task(f"{number}.jpg", bench.shape("polygon", [1, 2, 3, 4, 5, number]), reviewer=None),
        lambda number: bench.task(f"{number}.jpg", *([None] if number % 1500 == 0 else []), extra={"a": [number]}),
    ]
    answer = [looks[number // 3000 % 4](number) for number in range(15_000)]
    (tmp_path / "tasks.json").write_text(json.dumps(answer))
    assert tasks_of(read(tmp_path)) == answer
    (tmp_path / "tasks.json").unlink()
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in answer))
    assert tasks_of(read(tmp_path)) == answer
