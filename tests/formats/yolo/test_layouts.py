"""YOLO datasets as people lay them out, and as we do."""

from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.labels import to_fastlabel

LINE = "0 0.5 0.5 0.2 0.25\n"
BOX = [40, 30, 60, 50]


@pytest.fixture
def lay(tmp_path):
    """Make files in a folder: a picture of 100 x 80 pixels for a picture's name, text for others."""

    def make(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                suffix = path.suffix.lower()
                path.write_bytes(cv2.imencode(suffix, np.zeros((80, 100, 3), np.uint8))[1].tobytes())
            else:
                path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path

    return make


def found(source, **options):
    """Task name -> tags and values; every annotation is the same box."""
    content = formats.read(source, format="yolo", **options)
    tasks = list(to_fastlabel(content))
    assert all(shape["points"] == BOX for task in tasks for shape in task["annotations"])
    return {
        task["name"]: (task["tags"], [shape["value"] for shape in task["annotations"]]) for task in tasks
    }, content.report


@pytest.mark.parametrize(
    "files",
    [
        pytest.param({"data.yaml": "train: images/train\nnames: [dog]\n", "images/train/a.jpg": None,
                      "labels/train/a.txt": LINE}, id="ultralytics"),
        pytest.param({"data.yaml": "path: /gone/datasets/x\ntrain: images/train\nnames: {0: dog}\n",
                      "images/train/a.jpg": None, "labels/train/a.txt": LINE}, id="a path that leads elsewhere"),
        pytest.param({"data.yaml": "path: .\ntrain: [images/train]\nnames: {'0': dog}\n", "images/train/a.jpg": None,
                      "labels/train/a.txt": LINE}, id="a list of folders"),
        pytest.param({"data.yaml": "train: ../train/images\nnc: 1\nnames: [dog]\n", "train/images/a.jpg": None,
                      "train/labels/a.txt": LINE}, id="roboflow"),
        pytest.param({"data.yaml": "train: train.txt\nnames: [dog]\n", "train.txt": "./images/a.jpg\n\n",
                      "images/a.jpg": None, "labels/a.txt": LINE}, id="a list of images"),
        pytest.param({"data.yml": "\ufefftrain: train\nnames:\n- dog\n", "train/a.jpg": None, "train/a.txt": LINE},
                     id="labels beside the images, and a byte order mark"),
        pytest.param({"coco128.yaml": "path: ../coco128\ntrain: images/train2017\nnames: {0: dog}\n",
                      "images/train2017/a.jpg": None, "labels/train2017/a.txt": LINE, "sub/other.yaml": "x: 1"},
                     id="a data file of another name"),
        pytest.param({"classes.txt": "dog\n", "train.txt": "images/a.jpg\n", "images/a.jpg": None,
                      "annotations/a.txt": LINE}, id="the SDK's, with a list"),
        pytest.param({"obj.names": "dog\r\n", "train.txt": "data/obj/images/a.jpg\r\n", "images/a.jpg": None,
                      "labels/a.txt": LINE}, id="darknet"),
        pytest.param({"labels/classes.txt": "dog\n", "images/train/a.jpg": None, "labels/train/a.txt": LINE},
                     id="classes among the labels"),
        pytest.param({"classes.txt": "dog".encode("utf-16"), "images/train/a.jpg": None,
                      "labels/train/a.txt": LINE.encode("utf-16")}, id="UTF-16"),
    ],
)  # fmt: skip
def test_every_layout_is_the_same_dataset(lay, files):
    tasks, report = found(lay(files))
    assert tasks == {"a.jpg": (["train"], ["dog"])}
    assert not report.dropped and not report.altered and not report.noticed


@pytest.mark.parametrize("above", ["..", "/content/dogs-1", "dogs-1", "C:\\\\dogs-1"])
def test_a_dataset_of_roboflow_that_was_moved_and_has_nothing_to_test_with(lay, above):
    data = f'train: "{above}/train/images"\nval: "{above}/valid/images"\ntest: "{above}/test/images"\nnames: [dog]\n'
    root = lay({"ds/data.yaml": data, "ds/train/images/a.jpg": None, "ds/train/labels/a.txt": LINE})
    tasks, report = found(root / "ds")
    assert tasks == {"a.jpg": (["train"], ["dog"])}
    assert [note.examples for note in report.noticed] == [("test, val",)]
    lay({"ds/valid/images/b.jpg": None, "ds/valid/labels/b.txt": LINE})
    tasks, report = found(root / "ds")
    assert tasks == {"a.jpg": (["train"], ["dog"]), "b.jpg": (["val"], ["dog"])}
    assert [note.examples for note in report.noticed] == [("test",)]
    lay({"ds/data.yaml": "train: train/images\nval: [valid/images, valid/more]\nnames: [dog]\n"})
    again, report = found(root / "ds")
    assert again == tasks and [note.examples for note in report.noticed] == [("val",)]


def test_a_folder_to_train_with_that_is_not_there_is_named(lay):
    root = lay({"ds/data.yaml": "train: /data/train/images\nval: val\nnames: [dog]\n", "ds/val/a.jpg": None})
    with pytest.raises(FileNotFoundError, match=r"/data/train/images, which .*data\.yaml names, is not there"):
        found(root / "ds")
    lay({"ds/data.yaml": "val: ../valid/images\nnames: [dog]\n"})
    with pytest.raises(FileNotFoundError, match=r"none of the folders that .*data\.yaml names is there"):
        found(root / "ds")


def test_of_several_data_files_one_must_be_named(lay):
    root = lay({"one.yaml": "train: images\nnames: [dog]\n", "two.yaml": "names: [cat]\n", "images/a.jpg": None})
    with pytest.raises(FileNotFoundError, match="several YAML files, name the data file itself"):
        found(root)
    assert list(found(root / "one.yaml")[0]) == ["a.jpg"]


def test_an_image_of_two_parts_is_told(lay):
    tasks, report = found(
        lay(
            {
                "data.yaml": "train: images/train\nval: images/train\nnames: [dog]\n",
                "images/train/a.jpg": None,
                "labels/train/a.txt": LINE,
            }
        )
    )
    assert tasks == {"train/a.jpg": (["train"], ["dog"]), "val/a.jpg": (["val"], ["dog"])}
    assert [(note.reason, note.count, note.examples) for note in report.noticed] == [
        ("an image that several parts name became a task in each", 1, ("images/train/a.jpg",))
    ]


def test_classes_beside_the_images_of_one_folder(lay):
    root = lay(
        {"classes.txt": "dog\n\ncat\n", "a.jpg": None, "a.txt": LINE, "sub/b.PNG": None, "sub/b.TXT": "2" + LINE[1:]}
    )
    tasks, report = found(root)
    assert tasks == {"a.jpg": ([], ["dog"]), "sub/b.PNG": ([], ["cat"])}
    assert not report.dropped and not report.noticed
    assert found(root / "classes.txt")[0] == tasks
    assert found(root, classes=["x", "y", "z"])[0]["a.jpg"] == ([], ["x"])


def test_parts_of_any_name_and_pictures_in_two_of_them(lay):
    root = lay(
        {
            "data.yaml": "train: images/train\nval: images/valid\nholdout: images/holdout\nnames: [dog]\nnote: hello\n",
            "images/train/a.jpg": None,
            "images/valid/a.jpg": None,
            "images/holdout/b.jpg": None,
            "labels/train/a.txt": LINE,
            "labels/holdout/b.txt": LINE,
        }
    )
    tasks, _ = found(root)
    assert tasks == {
        "train/a.jpg": (["train"], ["dog"]),
        "val/a.jpg": (["val"], []),
        "b.jpg": (["holdout"], ["dog"]),
    }


def test_a_list_of_all_images_is_no_part(lay):
    root = lay({"obj.names": "dog\n", "images.txt": "data/a.jpg\n", "data/a.jpg": None, "data/a.txt": LINE})
    tasks, report = found(root)
    assert tasks == {"data/a.jpg": ([], ["dog"])} and not report.noticed
    lay({"train.txt": "data/a.jpg\n"})
    assert found(root)[0] == {"data/a.jpg": (["train"], ["dog"])}


def test_names_stay_as_they_are_written(lay):
    root = lay(
        {
            "data.yaml": "train: images\nnames: [no, 010, 'a b', ~]\n",
            "images/a.jpg": None,
            "labels/a.txt": "".join(f"{number}{LINE[1:]}" for number in range(4)),
        }
    )
    tasks, report = found(root)
    assert tasks["a.jpg"][1] == ["no", "010", "a b", "~"] and not report.noticed


def test_nothing_outside_the_folder_is_opened(lay, tmp_path):
    root = lay({"data.yaml": "train: images\nnames: [dog]\n", "images/a.jpg": None, "labels/a.txt": LINE})
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    (outside / "images").mkdir(parents=True)
    (outside / "images/b.jpg").write_bytes((root / "images/a.jpg").read_bytes())
    os.symlink(outside / "images/b.jpg", root / "images/b.jpg")
    os.symlink(outside / "images", root / "images/more")
    tasks, report = found(root)
    assert list(tasks) == ["a.jpg"]
    assert [note.examples for note in report.dropped] == [("images/b.jpg",)]
    assert [note.examples for note in report.noticed] == [("images/more",)]
    for place in (f"../{outside.name}/images", str(outside / "images")):
        (root / "data.yaml").write_text(f"train: {place}\nnames: [dog]\n")
        with pytest.raises(FormatError, match=r"data\.yaml.*leads out"):
            formats.read(root, format="yolo")
    (root / "data.yaml").write_text("train: list.txt\nnames: [dog]\n")
    (root / "list.txt").write_text(
        f"{outside}/images/b.jpg\n../{outside.name}/images/b.jpg\nimages/a.jpg\nimages/a.jpg\n"
    )
    tasks, report = found(root)
    assert list(tasks) == ["a.jpg"]
    told = {note.reason: note.count for note in report.dropped}
    assert told["a listed image is not in the dataset's folder"] == 2


def test_what_is_no_label_file_is_told_and_empty_ones_are_background(lay):
    root = lay(
        {
            "classes.txt": "dog\n",
            "a.jpg": None,
            "a.txt": "\n \n",
            "b.jpg": None,
            "README.txt": "Pictures of dogs\nby the sea\n",
            "gone.txt": LINE * 3,
            "empty.txt": "",
        }
    )
    tasks, report = found(root)
    assert tasks == {"a.jpg": ([], []), "b.jpg": ([], [])}
    (lost,) = report.dropped
    assert (lost.count, lost.examples) == (3, ("gone.txt",))
    assert lost.reason.startswith("its label file has no image in images/") and "size='1280x720'" in lost.reason
    assert {(note.reason, note.type, note.examples) for note in report.noticed} == {
        ("a text file that holds no labels", "file", ("README.txt",)),
        ("an empty label file has no image", "file", ("empty.txt",)),
    }


def test_pictures_that_cannot_be_read_take_the_size_given(lay):
    root = lay({"classes.txt": "dog\n", "a.jpg": b"no picture", "a.txt": LINE * 2})
    tasks, report = found(root)
    assert tasks == {"a.jpg": ([], [])} and report.dropped_count == 2
    tasks, report = found(root, size=[100, 80])
    assert tasks == {"a.jpg": ([], ["dog", "dog"])} and report.dropped_count == 0
    assert [note.type for note in report.altered] == ["image"]
    for size in ("100", "axb", (0, 5), 7, (1, 2, 3)):
        with pytest.raises(ValueError, match=r"size is width and height|no image is"):
            formats.read(root, format="yolo", size=size)


def test_a_wrong_task_area_or_list_of_classes_is_refused(lay):
    root = lay({"a.jpg": None})
    for options in ({"task": "x"}, {"polygons": "mask"}, {"classes": [1]}):
        with pytest.raises(ValueError, match=r"task|polygons|classes"):
            formats.read(root, format="yolo", **options)
    with pytest.raises(FileNotFoundError, match="list of classes"):
        formats.read(root, format="yolo", classes=str(root / "names.txt"))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("names: [a", "YOLO data file"),
        ("- 1\n- 2\n", "no names and values"),
        ("train: images\n", "no list of names"),
        ("train: images\nnames: {x: dog}\n", "class number"),
        ("train: images\nnames: [[dog]]\n", "class 0"),
        ("train: images\nnames: [dog]\nkpt_shape: [3, 7]\n", "kpt_shape"),
        ("train: images\nnames: [dog]\nkpt_shape: [99999999, 3]\n", "kpt_shape"),
        ("train: images\nnames: [dog]\nkpt_shape: many\n", "kpt_shape"),
        ("names: [dog]\n", "names no images"),
        ("train: [[x]]\nnames: [dog]\n", "names no folder"),
        ("a: &a [x,x]\nb: &b [*a,*a]\nnames: [*b, *b]\ntrain: images\n", "class 0"),
        ("names: " + "[" * 3000, "YOLO data file"),
        ("#" * (5 * 2**20), "larger than"),
    ],
)
def test_a_damaged_data_file_is_named_with_the_place(lay, text, place):
    root = lay({"data.yaml": text, "images/a.jpg": None})
    with pytest.raises(FormatError, match=place) as caught:
        formats.read(root, format="yolo")
    assert "data.yaml" in str(caught.value)


# Writing.


def test_the_layout_of_the_sdk(bench, tree):
    tasks = [
        bench.task("a.jpg", bench.shape("bbox", BOX), tags=["train"]),
        bench.task("images/b.png", bench.shape("bbox", BOX, "cat"), tags=["val"]),
        bench.task("c.jpg", tags=["val"]),
    ]
    content = bench.labels(*tasks, classes=[bench.klass("dog", 2), bench.klass("cat", 1)])
    target = bench.folder / "d"
    report = formats.write(content, format="yolo", target=target, layout="darknet", split="tags")
    files = tree(target)
    assert report.files == len(files) - 1 and report.bytes == sum(map(len, files.values())) - len(files["report.json"])
    files.pop("report.json")
    assert {name: text.decode() for name, text in files.items()} == {
        "annotations/a.txt": "1 0.5 0.5 0.2 0.25\n",
        "annotations/images/b.txt": "0 0.5 0.5 0.2 0.25\n",
        "annotations/c.txt": "",
        "classes.txt": "cat\ndog\n",
        "obj.data": "classes = 2\nnames = classes.txt\ntrain = train.txt\nvalid = val.txt\ntask = detect\n",
        "train.txt": "images/a.jpg\n",
        "val.txt": "images/c.jpg\nimages/images/b.png\n",
    }
    with pytest.raises(ValueError, match="cannot be called 'classes'"):
        formats.write(content, format="yolo", target=target, layout="darknet", split={"classes": 1})


@pytest.mark.parametrize("layout", ["ultralytics", "darknet"])
@pytest.mark.parametrize("task", ["detect", "segment", "obb"])
def test_both_layouts_come_back_with_their_parts(lay, bench, layout, task, tmp_path):
    source = lay(
        {f"source/images/{name}.jpg": None for name in ("a", "sub/b", "c")} | {"source/classes.txt": "dog\ncat\n"}
    )
    for name, text in {"a": LINE, "sub/b": "1 0.5 0.5 0.2 0.25\n" * 2, "c": ""}.items():
        path = source / "source/labels" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    content = formats.read(source / "source", format="yolo")
    split = {"train": 0.5, "holdout": 0.5}
    formats.write(content, format="yolo", target=tmp_path / "y", layout=layout, task=task, split=split)
    back = formats.read(tmp_path / "y", format="yolo")
    shapes = {one["name"]: one["annotations"] for one in to_fastlabel(back)}
    corners = [40, 30, 60, 30, 60, 50, 40, 50]
    expected = corners if task == "segment" else BOX
    kind = "polygon" if task == "segment" else "bbox"
    assert {name: [(one["value"], one["type"], one["points"]) for one in found] for name, found in shapes.items()} == {
        "a.jpg": [("dog", kind, expected)],
        "sub/b.jpg": [("cat", kind, expected)] * 2,
        "c.jpg": [],
    }
    assert not back.report.dropped and not back.report.noticed
    parts = {one["name"]: one["tags"] for one in to_fastlabel(back)}
    assert sorted({tag for tags in parts.values() for tag in tags}) in (["holdout", "train"], ["train"], ["holdout"])
    assert all(len(tags) == 1 for tags in parts.values())


def test_class_names_that_a_line_cannot_hold(bench, tmp_path):
    values = ["two\nlines", " blank ", "next\x85line"]
    classes = [bench.klass(value, order) for order, value in enumerate(values, start=1)]
    content = bench.labels(bench.task("a.jpg"), classes=classes)
    report = formats.write(content, format="yolo", target=tmp_path / "d", layout="darknet")
    assert (tmp_path / "d/classes.txt").read_text() == "two lines\nblank\nnext line\n"
    assert [(note.type, note.count) for note in report.altered] == [("file", 3)]
    formats.write(content, format="yolo", target=tmp_path / "u")
    back = formats.read(tmp_path / "u", format="yolo")
    assert back.classes["value"].to_pylist() == values


def test_more_classes_than_there_are_colours_to_tell_apart(lay):
    text = "".join(f"{3 * number} 0.5 0.5 0.2 0.25\n" for number in range(9000))
    content = formats.read(lay({"classes.txt": "dog\n", "a.jpg": None, "a.txt": text}), format="yolo")
    assert content.classes.num_rows == 9000 and len(set(content.classes["color"].to_pylist())) == 9000
    assert [(note.reason, note.count) for note in content.report.noticed] == [("the class number has no name", 8999)]


def numbered(bench, parts):
    """As many tasks as ``parts`` says of each, a box each, tagged with their part."""
    tags = [part for part, count in parts.items() for _ in range(count)]
    return bench.labels(
        *(
            bench.task(
                f"sub/{number}.jpg" if number % 5 == 0 else f"{number}.jpg", bench.shape("bbox", BOX), tags=[tag]
            )
            for number, tag in enumerate(tags)
        )
    )


def test_parts_without_pictures_keep_their_tags_and_names(bench, tmp_path):
    content = numbered(bench, {"train": 12, "val": 10, "test": 8})
    formats.write(content, format="yolo", target=tmp_path / "y", split="tags")
    tasks, report = found(tmp_path / "y", size=(100, 80))
    expected = {task["name"].removesuffix(".jpg"): (task["tags"], ["dog"]) for task in to_fastlabel(content)}
    assert tasks == expected
    assert not report.dropped and not report.altered and not report.noticed


def test_the_sdks_layout_without_pictures_keeps_its_names(bench, tmp_path):
    content = numbered(bench, {"train": 11})
    formats.write(content, format="yolo", target=tmp_path / "y", layout="darknet", split=None)
    tasks, _ = found(tmp_path / "y", size=(100, 80))
    assert sorted(tasks) == sorted(task["name"].removesuffix(".jpg") for task in to_fastlabel(content))


def test_the_sdks_layout_without_pictures_keeps_its_parts(bench, tmp_path):
    content = numbered(bench, {"train": 5, "test": 3})
    # The second of these is the first that train.txt lists, and the only one val.txt does.
    odd = {"images/odd.jpg": "test", "#no ending": "train", "train.d/no ending": "val"}
    others = [bench.task(name, bench.shape("bbox", BOX), tags=[part]) for name, part in odd.items()]
    content = bench.labels(*to_fastlabel(content), *others)
    formats.write(content, format="yolo", target=tmp_path / "y", layout="darknet", split="tags")
    tasks, report = found(tmp_path / "y", size=(100, 80))
    # The lists say what the pictures are called, with their endings.
    assert tasks == {task["name"]: (task["tags"], ["dog"]) for task in to_fastlabel(content)}
    assert not report.dropped and not report.altered and not report.noticed


CVAT = {
    "obj.data": "classes = 1\nnames = data/obj.names\ntrain = data/train.txt\nvalid = data/valid.txt\n",
    "obj.names": "dog\n",
    "train.txt": "data/obj_train_data/a.b.jpg\ndata/obj_train_data/sub/c.png\n",
    "valid.txt": "data/obj_valid_data/v.jpg\n",
    "obj_train_data/a.b.txt": LINE,
    "obj_train_data/sub/c.txt": "",
    "obj_valid_data/v.txt": LINE,
}
CVAT_ULTRALYTICS = {
    "data.yaml": "names:\n  0: dog\npath: .\ntrain: train.txt\nval: val.txt\n",
    "train.txt": "data/images/train/a.b.jpg\ndata/images/train/sub/c.png\ndata/images/train/gone.jpg\n",
    "val.txt": "data/images/val/v.jpg\n",
    "labels/train/a.b.txt": LINE,
    "labels/train/sub/c.txt": "",
    "labels/val/v.txt": LINE,
}


@pytest.mark.parametrize(
    ("files", "below"), [(CVAT, ("obj_train_data/", "obj_valid_data/")), (CVAT_ULTRALYTICS, ("train/", "val/"))]
)
def test_what_cvat_exports_without_pictures_is_named_and_sorted_as_with_them(lay, files, below):
    train, val = below
    expected = {
        f"{train}a.b.jpg": (["train"], ["dog"]),
        f"{train}sub/c.png": (["train"], []),
        f"{val}v.jpg": (["val"], ["dog"]),
    }
    root = lay(files)
    tasks, report = found(root, size=(100, 80))
    assert tasks == expected
    gone = [note.examples for note in report.dropped]
    assert gone == ([("data/images/train/gone.jpg",)] if "data.yaml" in files else [])
    _, report = found(root)
    (note,) = [note for note in report.dropped if note.type == "annotation"]
    assert note.count == 2 and "size='1280x720' gives it" in note.reason
    above = "images/" if "data.yaml" in files else ""
    tasks, _ = found(lay(dict.fromkeys(f"{above}{name}" for name in expected)))
    assert tasks == expected


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("weather = rain", ["weather"]),
        ("task = banana", ["task"]),
        ("classes = 3", ["classes"]),
        ("classes = 1\nnames = data/obj.names\nbackup = backup/\neval = coco\ntrain = data/train.txt\nx =", []),
    ],
)
def test_what_nobody_reads_of_a_darknet_data_file_is_told(lay, line, told):
    _, report = found(lay({"obj.data": f"{line}\n", "obj.names": "dog\n", "a.jpg": None, "a.txt": LINE}))
    assert [note.examples[0] for note in report.noticed if "the data file" in note.reason] == told


def test_label_files_without_an_image_belong_to_the_part_of_their_folder(lay):
    root = lay(
        {
            "data.yaml": "train: images/train\nval: images/val\nnames: [dog]\n",
            "images/train/a.jpg": None,
            "images/train/sub/b.jpg": None,
            "images/train/val/c.jpg": None,
            "images/val/d.jpg": None,
            **{f"labels/train/{name}.txt": LINE for name in ("a", "sub/b", "val/c", "sub/lost", "gone")},
            "labels/val/d.txt": LINE,
            "labels/val/orphan.txt": LINE,
            "labels/stray.txt": LINE,
        }
    )
    tasks, report = found(root, size=(100, 80))
    train, val = (["train"], ["dog"]), (["val"], ["dog"])
    pictured = {"a.jpg": train, "sub/b.jpg": train, "val/c.jpg": train, "d.jpg": val}
    assert tasks == {**pictured, "sub/lost": train, "gone": train, "orphan": val, "stray": train}
    assert not report.dropped
    _, report = found(root)
    assert report.dropped_count == 4
