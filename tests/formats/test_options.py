"""Options are refused before any work is done, and by the same table that a code location can afford to load."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from fastlabel_dagster import formats
from fastlabel_dagster.assets.plan import ExportPlan
from fastlabel_dagster.cli import main
from fastlabel_dagster.formats import registry
from fastlabel_dagster.formats.archive import SHARD_BYTES
from fastlabel_dagster.formats.options import SHARED_OPTIONS, WRITER_OPTIONS

WRITTEN = registry.written_names()
WRONG = [
    ("yolo", "task", "sgement", "one of detect, segment, pose, obb"),
    ("yolo", "layout", 1, "one of ultralytics, darknet"),
    ("yolo", "classes", "dog", "a list of class values"),
    ("yolo", "pose_boxes", "no", "true or false"),
    ("yolo", "split", {"train": 0.8, "val": 0.1}, "the shares of the split add up to 0.9, not to 1"),
    ("yolo", "split", "random", "split is shares by name"),
    ("kitti", "score", 1, "true or false"),
    ("coco_panoptic", "stuff", "sky", "a list of class values"),
    ("semantic_masks", "palette", [256, 0, 0], '"sdk", "classes", or colours'),
    ("semantic_masks", "classes", "alphabet", '"project", "sorted" or a list'),
    ("instance_masks", "start_index", True, "a whole number from 0 to 1"),
    ("overlays", "fill", 1.5, "a share from 0 to 1"),
    ("overlays", "thickness", 0, "a whole number from 1 to 255"),
    ("hf_parquet", "file_bytes", 0, "a whole number from 1 on"),
    ("rttm", "one_file", "yes", "true or false"),
]


def test_the_light_table_says_what_the_formats_say() -> None:
    assert set(WRITER_OPTIONS) == set(WRITTEN)
    for name in WRITTEN:
        light = {option: known.default for option, known in WRITER_OPTIONS[name].items()}
        assert light == dict(registry.find(name).options), name
        for known in WRITER_OPTIONS[name].values():
            assert known.allows(known.default)
    assert SHARED_OPTIONS["shard_bytes"].default == SHARD_BYTES


def words_of_the_table():
    for name in WRITTEN:
        for option, known in WRITER_OPTIONS[name].items():
            if known.what.startswith("one of "):
                yield from ((name, option, word) for word in known.what.removeprefix("one of ").split(", "))


@pytest.mark.parametrize(("format", "option", "word"), list(words_of_the_table()))
def test_every_word_of_the_light_table_is_one_the_writer_takes(bench, tmp_path, format, option, word) -> None:
    formats.write(bench.labels(classes=[]), format=format, target=tmp_path / "out", **{option: word})


@pytest.mark.parametrize(("format", "option", "value", "said"), WRONG)
def test_a_wrong_value_is_refused_when_definitions_load(format, option, value, said) -> None:
    with pytest.raises(ValueError, match=said):
        ExportPlan.of({"format": format, option: value})


@pytest.mark.parametrize(
    "entry",
    [
        {"format": "yolo", "tsak": "segment"},
        {"format": "coco", "task": "segment"},
        {"format": "coco", "archive": "rar"},
        {"format": "coco", "strict": "yes"},
        {"format": "coco", "shard_bytes": 0},
    ],
)
def test_an_unknown_option_is_refused_when_definitions_load(entry) -> None:
    with pytest.raises(ValueError, match=f"{list(entry)[1]}"):
        ExportPlan.of(entry)


def test_what_an_export_may_say_is_not_refused() -> None:
    plan = ExportPlan.of(
        {
            "format": "yolo",
            "name": "two",
            "status": ["approved"],
            "images": False,
            "archive": "zip",
            "shard_bytes": 10,
            "split": {"train": 80, "val": 20},
            "classes": ["dog"],
        }
    )
    assert dict(plan.options) == {
        "archive": "zip",
        "shard_bytes": 10,
        "split": {"train": 80, "val": 20},
        "classes": ["dog"],
    }


def test_the_table_is_looked_at_without_arrow() -> None:
    script = (
        "import sys; from fastlabel_dagster.formats import registry;"
        "registry.check_export('yolo', {'task': 'segment', 'split': {'train': 1.0}, 'archive': 'zip'});"
        "print([name for name in ('pyarrow', 'numpy', 'pandas', 'cv2', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("format", "option"), [("yolo", "classes"), ("semantic_masks", "classes"), ("coco_panoptic", "stuff")]
)
def test_classes_nobody_has_are_told(bench, format, option) -> None:
    task = bench.task("a.jpg", bench.shape("bbox", [1, 2, 30, 40], "new"), bench.shape("bbox", [40, 2, 50, 40]))
    classes = [bench.klass("dog"), bench.klass("never drawn", 2)]
    content = bench.labels(task, classes=classes)
    target = bench.folder / "out"
    asked = {option: ["dgo", "new", "never drawn", "dog"]}
    report = formats.write(content, format=format, target=target, **asked)
    told = [(note.type, note.count, note.examples) for note in report.noticed if "names a class" in note.reason]
    assert told == [("class", 1, ("dgo",))]
    fine = formats.write(content, format=format, target=target, **{option: asked[option][1:]})
    assert not [note for note in fine.noticed if "names a class" in note.reason]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "yolo", "--option", "task=sgement"], "one of detect, segment, pose, obb"),
        (["--to", "yolo", "--option", "tsak=segment"], "has no option 'tsak'"),
        (["--to", "lerobot"], "only read, not written"),
        (["--to", "yolo", "--read-option", "tsak=1"], "has no option 'tsak'"),
        (["--to", "yolo", "--option", 'split={"train": 0.5}'], "add up to 0.5, not to 1"),
    ],
)
def test_the_command_refuses_before_it_reads(tmp_path, arguments, said) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "annotations.json").write_text("nothing that could be read")
    done = CliRunner().invoke(main, ["convert", str(source), str(tmp_path / "out"), "--from", "coco", *arguments])
    assert done.exit_code == 1 and said in done.output
    assert "annotations.json" not in done.output and not (tmp_path / "out").exists()


@pytest.mark.parametrize("target", ["full", "source", "source/inside", ".", "a file"])
def test_the_command_refuses_the_target_before_it_reads(tmp_path, target) -> None:
    source, full = tmp_path / "source", tmp_path / "full"
    for folder in (source, full):
        folder.mkdir()
        (folder / "annotations.json").write_text("nothing that could be read")
    (tmp_path / "a file").write_text("mine")
    arguments = ["convert", str(source), str(tmp_path / target), "--from", "coco", "--to", "yolo"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    said = {"full": "holds files already", "a file": "there is a file of that name"}.get(target, "cannot write to")
    assert said in done.output
    assert (full / "annotations.json").read_text() == "nothing that could be read"


def test_a_target_on_s3_is_refused_before_anything_is_read(moto_s3) -> None:
    from fastlabel_dagster.store import StoreError, open_store

    place = f"s3://{moto_s3.bucket}/taken"
    open_store(place).write_bytes("mine.txt", b"mine")
    with pytest.raises(StoreError, match=r"holds files already, such as mine\.txt"):
        formats.check_write(place, format="coco")
    formats.check_write(place, format="coco", replace=True)
    formats.check_write(f"s3://{moto_s3.bucket}/free", format="coco")
    assert [found.path for found in open_store(place).list()] == ["mine.txt"]
