"""What lies beside the masks, their colours and numbers, and what is told about them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fastlabel_dagster import formats


def folder(bench, tmp_path, name="instance_masks"):
    return json.loads((tmp_path / name / {"i": "instances.json", "s": "classes.json"}[name[0]]).read_text())


def test_files_say_what_every_number_means(bench, ours, tmp_path):
    classes = [
        bench.klass("text", 1, "classification"),
        bench.klass("dog", 2, title="A dog"),
        bench.klass("cat", 3, "polygon", color="#123456"),
    ]
    task = bench.task("x/a.jpg", bench.shape("bbox", [0, 0, 10, 10], "cat", id="first"), tags=["train"])
    ours([task], "semantic_masks", project=classes)
    assert folder(bench, tmp_path, "semantic_masks") == {
        "format": "semantic_masks",
        "start_index": 1,
        "images": [
            {"mask": "masks/x/a.png", "file": "x/a.jpg", "task_id": "id-x/a.jpg", "width": 100, "height": 80}
            | {"tags": ["train"]}
        ],
        "classes": [
            {"index": 1, "value": "dog", "title": "A dog", "color": "#00ff00", "types": ["bbox"]},
            {"index": 2, "value": "cat", "title": "cat", "color": "#123456", "types": ["polygon"]},
        ],
    }
    assert (tmp_path / "semantic_masks" / "classes.txt").read_text() == "background\ndog\ncat\n"
    report, _ = ours([task], project=classes)
    (image,) = folder(bench, tmp_path)["images"]
    assert image["instances"] == [{"index": 1, "id": "first", "type": "bbox", "class": "cat"}]
    listing = [path for path in (tmp_path / "instance_masks").rglob("*") if path.is_file()]
    data = [path for path in listing if path.name not in (".fastlabel-folder", "report.json")]
    assert (report.files, report.bytes) == (len(data), sum(path.stat().st_size for path in data))


def test_circles_are_discs(bench, ours):
    task = bench.task("a.jpg", bench.shape("circle", [50.2, 40.1, 12.4]))
    _, masks = ours([task])
    y, x = np.mgrid[:80, :100] + 0.5
    np.testing.assert_array_equal(masks["a.png"].pixels, np.hypot(x - 50.2, y - 40.1) < 12.4)


def test_everything_that_is_not_in_a_mask_is_told(bench, ours):
    shapes = [
        bench.shape("bbox", [0, 0, 10, 10], id="under"),
        bench.shape("line", [0, 0, 5, 5]),
        bench.shape("keypoint", [5, 5]),
        bench.shape("classification"),
        bench.shape("pose_estimation", keypoints=[{"key": "k", "name": "k", "value": [1, 2, 1], "edges": []}]),
        bench.shape("bbox", [200, 200, 210, 210], id="outside"),
        bench.shape("bbox", [0, 0, 20, 20], id="over"),
        bench.shape("bbox", [15, 15, 30, 30], id="partly"),
        bench.shape("segmentation", [[[40, 40, 60, 40, 60, 60, 40, 60], [50, 50, 70, 50, 70, 70, 50, 70]]]),
        bench.shape("polygon", [0, 0, float("inf"), 5, 9, 9], id="endless"),
    ]
    report, masks = ours([bench.task("a.jpg", *shapes)], project=[bench.klass("dog")])
    dropped = {(note.reason, note.type): note.count for note in report.dropped}
    assert dropped == {
        ("not an area", "line"): 1,
        ("not an area", "keypoint"): 1,
        ("not an area", "classification"): 1,
        ("not an area", "pose_estimation"): 1,
        ("it has no pixel within the image", "bbox"): 1,
        ("later annotations cover all of it", "bbox"): 1,
        ("a coordinate is not a finite number", "polygon"): 1,
    }
    assert {note.reason: note.examples for note in report.noticed} == {
        "later annotations cover a part of it": ("a.jpg · over",),
        "a hole reaches outside its outline, only what lies inside was cut out": ("a.jpg · a",),
    }
    assert masks["a.png"].counts() == {0: 8000 - 400 - 200 - 300, 3: 375, 4: 225, 5: 300}


@pytest.mark.parametrize("pixels", ["centers", "sdk"])
@pytest.mark.parametrize("format", ["semantic_masks", "instance_masks"])
def test_what_is_cut_at_the_edge_is_told(bench, ours, format, pixels):
    shapes = [
        bench.shape("bbox", [-5, 0, 5, 10], id="left"),
        bench.shape("circle", [95, 70, 9], id="corner"),
        bench.shape("bbox", [20, 0, 100, 20], id="inside"),
        bench.shape("bbox", [200, 0, 210, 9], id="nowhere"),
    ]
    report, _ = ours([bench.task("a.jpg", *shapes)], format, project=[bench.klass("dog")], pixels=pixels)
    (box, circle) = report.altered
    assert box.reason == circle.reason == "reached outside the image, its mask ends at the edge"
    assert (box.examples, circle.examples) == (("a.jpg · left",), ("a.jpg · corner",))
    assert [note.examples for note in report.dropped] == [("a.jpg · nowhere",)]


def test_pictures_without_a_size_or_too_large_have_no_mask(bench, ours):
    box = bench.shape("bbox", [0, 0, 10, 10])
    tasks = [
        bench.task("a.jpg", box, width=None, height=None),
        bench.task("b.jpg", box, width=10**6, height=10**6),
        bench.task("c.jpg", box),
        bench.task("long.jpg", bench.shape("bbox", [0, 0, 1, 10]), width=1, height=2**28),
    ]
    report, masks = ours(tasks)
    assert list(masks) == ["c.png"]
    assert report.images == 1
    assert {note.reason for note in report.dropped if note.type == "image"} == {
        "the size of the image is not known, it has no mask",
        "the image has more than 268,435,456 pixels, or a longer side than 131,072, it has no mask",
    }


def test_colours_of_the_classes_or_ones_of_your_own(bench, ours):
    classes = [bench.klass("dog", 1, color="#102030"), bench.klass("cat", 2, color="none")]
    task = bench.task(
        "a.jpg", *[bench.shape("bbox", [9 * n, 0, 9 * n + 5, 5], v) for n, v in enumerate(["cat", "dog"])]
    )
    for format, dog in (("semantic_masks", 1), ("instance_masks", 2)):
        _, masks = ours([task], format, project=classes, palette="classes")
        assert masks["a.png"].palette[3 * dog : 3 * dog + 3] == [0x10, 0x20, 0x30]
    _, masks = ours([task], palette=[0, 0, 0, 255, 0, 0, 0, 255, 0])
    assert masks["a.png"].palette[:9] == [0, 0, 0, 255, 0, 0, 0, 255, 0]


def test_more_than_255_classes_make_16_bit_masks(bench, ours):
    classes = [bench.klass(f"c{number:03}", number) for number in range(1, 301)]
    _, masks = ours([bench.task("a.jpg", bench.shape("bbox", [0, 0, 5, 5], "c300"))], "semantic_masks", project=classes)
    assert masks["a.png"].mode.startswith("I;16")
    assert masks["a.png"].counts() == {0: 7975, 300: 25}


def test_masks_without_a_background_are_said_to_be_so(bench, ours):
    report, masks = ours([bench.task("a.jpg", bench.shape("bbox", [0, 0, 5, 5]))], start_index=0)
    assert masks["a.png"].counts() == {0: 8000}
    assert "start_index is 0: what is not annotated has the first index" in [note.reason for note in report.noticed]


def test_masks_beside_pictures_in_the_dataset_s_own_folder(bench, ours, pictures, tmp_path):
    tasks = [bench.task("images/a.jpg", bench.shape("bbox", [0, 0, 5, 5])), bench.task("a.jpg")]
    images = pictures(bench.labels(*tasks), tmp_path / "store")
    ours(tasks, mask_folder="", images=images)
    files = {
        path.relative_to(tmp_path / "instance_masks").as_posix() for path in (tmp_path / "instance_masks").rglob("*.*g")
    }
    assert files == {"a.png", "images_/a.png", "images/a.jpg", "images/images_/a.jpg"}


def test_hostile_names_stay_inside(bench, ours, tmp_path):
    names = ["../../evil.jpg", "/etc/passwd.png", "a\n.jpg", "con.jpg", "A.jpg", "a.jpg"]
    report, masks = ours([bench.task(name, bench.shape("bbox", [0, 0, 5, 5])) for name in names])
    assert len(masks) == report.images == len(names)
    assert not list(tmp_path.parent.glob("evil*"))


def test_the_same_labels_make_the_same_bytes(bench, tree, tmp_path):
    random = np.random.default_rng(2)
    tasks = [
        bench.task(f"{n}.jpg", *[bench.shape("polygon", random.uniform(0, 90, 12).tolist(), f"c{k}") for k in range(3)])
        for n in range(20)
    ]
    for target in ("one", "two"):
        formats.write(bench.labels(*tasks), format="semantic_masks", target=tmp_path / target)
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("palette", "rainbow"),
        ("palette", [1, 2]),
        ("palette", [300, 0, 0]),
        ("palette", []),
        ("start_index", 2),
        ("start_index", True),
        ("pixels", "corners"),
        ("mask_folder", "../x"),
        ("mask_folder", "images"),
        ("classes", "random"),
        ("classes", ["a", "a"]),
    ],
)
def test_impossible_options_say_so(bench, tmp_path, option, value):
    with pytest.raises(ValueError, match=option.rstrip("s")):
        formats.write(bench.labels(bench.task()), format="semantic_masks", target=tmp_path / "x", **{option: value})
    assert not (tmp_path / "x").exists()
