"""Reports add up for any project, exports know when nothing changed, and every store gets the same bytes."""

from __future__ import annotations

import json
import math
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats, labels
from fastlabel_dagster.labels import Labels
from fastlabel_dagster.store import open_store

ALL = [
    ("coco", {}),
    ("coco_parquet", {}),
    ("yolo", {}),
    ("yolo", {"task": "segment"}),
    ("yolo", {"task": "pose"}),
    ("parquet", {}),
]

numbers = st.one_of(
    st.floats(-50, 250), st.integers(-5, 120), st.sampled_from([0, 100, 80, math.nan, math.inf, 1e308, -1e308, 5e-324])
)
flat = st.lists(numbers, max_size=10)
rings = st.lists(st.lists(st.lists(numbers, max_size=10), max_size=2), max_size=2)
keypoints = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["p", "q", "r"]),
            "name": st.just("n"),
            "value": st.lists(numbers, max_size=3),
            "edges": st.just([]),
        }
    ),
    max_size=3,
)
attributes = st.lists(
    st.fixed_dictionaries(
        {
            "key": st.sampled_from(["iscrowd", "coco_bbox", "kind"]),
            "name": st.just("n"),
            "type": st.just("text"),
            "value": st.sampled_from(["true", True, "1,2,3,4", "1,2", 'a"b', None, 3]),
        }
    ),
    max_size=2,
)
annotations = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                "bbox",
                "polygon",
                "segmentation",
                "keypoint",
                "line",
                "circle",
                "pose_estimation",
                "classification",
                "odd",
            ]
        ),
        "value": st.sampled_from(["dog", "cat", "gone", "頭", None]),
        "attributes": attributes,
    },
    optional={"points": st.one_of(flat, rings), "rotation": numbers, "keypoints": keypoints},
)
sides = st.sampled_from([100, 80, 0, -1, None])
tasks = st.lists(
    st.fixed_dictionaries(
        {"name": st.text(max_size=8), "width": sides, "height": sides, "annotations": st.lists(annotations, max_size=6)}
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tasks, st.booleans())
@pytest.mark.parametrize(("format", "options"), ALL)
def test_every_annotation_is_written_or_dropped_with_a_reason(format, options, tasks, known):
    pose = [{"id": key, "key": key, "name": key, "color": "#000000", "edges": []} for key in "pq"]
    classes = [
        {"id": "1", "type": "bbox", "value": "dog", "title": "Dog", "color": "#ff0000", "order": 1, "attributes": []},
        {
            "id": "2",
            "type": "pose_estimation",
            "value": "cat",
            "title": "Cat",
            "color": "#ff0000",
            "order": 2,
            "keypoints": pose,
        },
    ]
    content = labels.from_fastlabel(
        [{"id": str(number), **task} for number, task in enumerate(tasks)], classes if known else None
    )
    with tempfile.TemporaryDirectory() as folder:
        report = formats.write(content, format=format, target=f"{folder}/out", **options)
        went_in = sum(len(task["annotations"]) for task in tasks)
        assert report.tasks == len(tasks)
        assert report.written + report.dropped_count == report.annotations == went_in
        assert all(len(note.examples) <= 5 and note.count > 0 for note in report.dropped + report.altered)
        place = open_store(f"{folder}/out")
        assert {item.path for item in place.list()} >= {"report.json"}
        if format == "coco":
            document = json.loads(place.read_bytes("annotations.json"), parse_constant=pytest.fail)
            assert len(document["annotations"]) == report.written and len(document["images"]) == len(tasks)
            formats.read(f"{folder}/out", format="coco")
        if format == "yolo":
            for item in place.list("labels/"):
                for line in place.read_bytes(item.path).decode().splitlines():
                    assert "e" not in line and "n" not in line
                    values = [float(word) for word in line.split()[1:]]
                    assert all(0 <= value <= (2 if options.get("task") == "pose" else 1) for value in values)


def versioned(bench, digest="d1", **more):
    content = bench.labels(
        bench.task("a.jpg", bench.shape("bbox", [0, 0, 5, 5])), bench.task("b.jpg", status="registered")
    )
    return Labels(
        content.tasks,
        content.classes,
        origin={"project": "p", "version": 3, "digest": digest, "location": "/x", **more},
    )


def test_an_export_that_is_there_already_is_not_written_again(bench, tmp_path):
    content, target = versioned(bench), tmp_path / "out"
    first = formats.write(content, format="coco", target=target, skip_unchanged=True)
    assert not first.unchanged and first.digest
    written = (target / "annotations.json").stat().st_mtime_ns
    again = formats.write(content, format="coco", target=target, skip_unchanged=True)
    assert again.unchanged and (again.written, again.digest) == (first.written, first.digest)
    assert (target / "annotations.json").stat().st_mtime_ns == written
    assert formats.is_current(target, content, format="coco")


def test_anything_that_matters_makes_an_export_stale(bench, tmp_path):
    content, target = versioned(bench), tmp_path / "out"
    formats.write(content, format="yolo", target=target)
    assert formats.is_current(target, content, format="yolo")
    assert not formats.is_current(target, versioned(bench, "d2"), format="yolo")
    assert not formats.is_current(target, content, format="yolo", task="segment")
    assert not formats.is_current(target, content, format="yolo", status="approved")
    assert not formats.is_current(target, content, format="coco")
    assert not formats.is_current(target, content.with_status("approved"), format="yolo")
    assert not formats.is_current(target, content.where(lambda t: t["name"], needs=["name"]), format="yolo")
    reclassed = Labels(content.tasks, bench.labels(classes=[bench.klass("cat")]).classes, origin=content.origin)
    assert not formats.is_current(target, reclassed, format="yolo")
    (target / "report.json").write_text("{")
    assert not formats.is_current(target, content, format="yolo")


def test_only_tasks_of_a_status_are_written(bench, tmp_path):
    report = formats.write(versioned(bench), format="coco", target=tmp_path / "out", status="registered")
    assert (report.tasks, report.annotations) == (1, 0)


def test_report_json_is_the_report_without_time_or_place(bench, tmp_path):
    report = formats.write(versioned(bench), format="coco", target=tmp_path / "out")
    data = (tmp_path / "out/report.json").read_bytes()
    assert str(tmp_path).encode() not in data and b"/x" not in data
    assert formats.ExportReport.from_json(data, report.target) == report
    assert report.origin == {"project": "p", "version": 3, "digest": "d1"}
    assert "1 annotations of 2 images" in str(report)


def test_unknown_formats_and_options_are_named(bench):
    with pytest.raises(ValueError, match="unknown format 'voc'; known are coco"):
        bench.write(bench.task(), format="voc")
    with pytest.raises(ValueError, match="no option 'task'; it has bbox_segmentation"):
        bench.write(bench.task(), format="coco", task="detect")
    with pytest.raises(ValueError, match="no option 'task'; it has none"):
        bench.write(bench.task(), format="parquet", task="detect")
    with pytest.raises(ValueError, match="'bbox_segmentation' of the format 'coco' is one of none, rectangle"):
        bench.write(bench.task(), format="coco", bbox_segmentation="box")


def test_a_folder_of_somebody_else_is_not_replaced(bench):
    (bench.folder / "coco").mkdir()
    (bench.folder / "coco/thesis.txt").write_text("years of work")
    with pytest.raises(OSError, match="coco"):
        bench.write(bench.task())
    assert (bench.folder / "coco/thesis.txt").read_text() == "years of work"


def test_the_export_before_is_replaced_whole(bench, tree):
    bench.write(bench.task("a.jpg"), bench.task("b.jpg"), format="yolo", split=None)
    bench.write(bench.task("b.jpg"), format="yolo", split=None)
    assert [name for name in tree(bench.folder) if name.endswith(".txt")] == ["yolo/labels/train/b.txt"]


@pytest.mark.parametrize(("format", "options"), ALL)
def test_objects_on_s3_are_the_local_files_byte_for_byte(bench, moto_s3, pictures, tmp_path, tree, format, options):
    content = bench.labels(
        bench.task("x/a.png", bench.shape("bbox", [1, 2, 30, 40]), bench.shape("line", [0, 0, 1, 1])),
        bench.task("b.png", bench.shape("polygon", [0, 0, 9, 0, 9, 9])),
    )
    local = formats.write(
        content, format=format, target=tmp_path / "out", images=pictures(content, tmp_path / "p"), **options
    )
    place = f"s3://{moto_s3.bucket}/exports"
    remote = formats.write(
        content, format=format, target=place, images=pictures(content, f"s3://{moto_s3.bucket}/pictures"), **options
    )
    store = open_store(place)
    assert {item.path: store.read_bytes(item.path) for item in store.list()} == tree(tmp_path / "out")
    assert (local.written, local.files, local.bytes) == (remote.written, remote.files, remote.bytes)


def test_parquet_answers_sql_questions_and_comes_back_whole(bench):
    import pyarrow.parquet as pq

    shapes = [bench.shape("bbox", [1, 2, 3, 4], attributes=[{"key": "k", "name": "K", "type": "text", "value": "v"}])]
    shapes += [bench.shape("segmentation", [[[0, 0, 9, 0, 9, 9, 0, 0]]], "cat"), bench.shape("line", [0, 0, 1, 1])]
    content = bench.labels(bench.task("a.jpg", *shapes), bench.task("b.jpg"), bench.task("c.jpg", shapes[0]))
    report = formats.write(content, format="parquet", target=bench.folder / "parquet")
    assert (report.tasks, report.written, report.files) == (3, 4, 3)
    flat = pq.read_table(bench.folder / "parquet/annotations").to_pandas()
    assert flat.groupby("value").size().to_dict() == {"dog": 3, "cat": 1}
    back = formats.read(bench.folder / "parquet", format="parquet")
    assert back.tasks.equals(content.tasks.set_column(14, "url", back.tasks["url"]))
    assert back.classes.equals(content.classes)


def test_labels_in_many_pieces_give_the_same_files(bench, tmp_path, tree):
    import pyarrow as pa

    content = bench.labels(*(bench.task(f"{n}.jpg", bench.shape("bbox", [0, 0, n + 1, 5])) for n in range(9)))

    def pieces(columns):
        for start in range(0, 9, 2):
            piece = content.tasks.slice(start, 2)
            yield piece if columns is None else piece.select(columns)
            yield piece.slice(0, 0) if columns is None else pa.table(piece.slice(0, 0).select(columns))

    for format, options in ALL[:1] + ALL[2:3]:
        formats.write(content, format=format, target=tmp_path / "one", **options)
        formats.write(Labels(pieces, content.classes), format=format, target=tmp_path / "many", **options)
        assert tree(tmp_path / "one") == tree(tmp_path / "many")
        for place in ("one", "many"):
            open_store(tmp_path / place).delete([item.path for item in open_store(tmp_path / place).list()])
