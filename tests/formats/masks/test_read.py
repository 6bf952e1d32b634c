"""Masks read: ours to the pixel, and as others write them."""

from __future__ import annotations

import json
import random
import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from fastlabel_dagster import formats, labels
from fastlabel_dagster.formats.errors import FormatError
from fastlabel_dagster.formats.masks.png import MOST_PIXELS, PngError, read_indices
from fastlabel_dagster.labels import raster


def save(path, pixels, mode=None, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels) if mode is None else Image.fromarray(pixels).convert(mode)
    if palette is not None:
        image.putpalette(palette)
    image.save(path)


def painted(task):
    """Class (or id) -> the pixels of its annotations."""
    found = {}
    for annotation in task["annotations"]:
        mask = raster.regions_to_mask(annotation["points"], task["width"], task["height"])
        found[annotation["value"]] = found.get(annotation["value"], False) | mask
    return found


def tasks_of(content):
    return list(labels.to_fastlabel(content.tasks))


def some_mask():
    mask = np.zeros((40, 60), np.uint8)
    mask[5:20, 5:20] = 1
    mask[8:12, 8:12] = 0
    mask[20:30, 20:50] = 2
    return mask


def project(bench, count=6):
    picks = np.random.default_rng(8)
    tasks = []
    for number in range(count):
        shapes = [
            bench.shape("polygon", picks.uniform(0, 99, 12).tolist(), "abc"[k % 3], id=f"{number}-{k}")
            for k in range(5)
        ]
        tasks.append(bench.task(f"s/{number}.jpg", *shapes, tags=["val"]))
    return tasks


@pytest.mark.parametrize("format", ["semantic_masks", "instance_masks"])
@pytest.mark.parametrize("start_index", [0, 1])
def test_what_we_write_comes_back_bit_for_bit(bench, tmp_path, format, start_index):
    content = bench.labels(*project(bench), classes=[bench.klass(v, n) for n, v in enumerate("abc", 1)])
    formats.write(content, format=format, target=tmp_path / "one", start_index=start_index)
    back = formats.read(tmp_path / "one", format=format)
    assert not back.report.dropped
    assert [(t["id"], t["name"], t["tags"], t["width"]) for t in tasks_of(back)] == [
        (f"id-s/{n}.jpg", f"s/{n}.jpg", ["val"], 100) for n in range(6)
    ]
    formats.write(back, format=format, target=tmp_path / "two", start_index=start_index)
    masks = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").rglob("*.png"))
    assert len(masks) == 6
    for path in masks:
        first, second = (read_indices(tmp_path / place / path).pixels for place in ("one", "two"))
        if format == "semantic_masks":
            np.testing.assert_array_equal(first, second)
        else:  # objects nothing is left of are no longer counted
            pairs = np.unique(np.column_stack([first.reshape(-1), second.reshape(-1)]), axis=0)
            assert len(pairs) == len(np.unique(first)) == len(np.unique(second))
    if format == "instance_masks" and start_index:
        ids = {annotation["id"] for task in tasks_of(back) for annotation in task["annotations"]}
        assert ids <= {f"{n}-{k}" for n in range(6) for k in range(5)}


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(np.uint8, (7, 9), elements=st.integers(0, 3)), st.booleans())
def test_any_mask_survives_reading_and_writing(tmp_path_factory, mask, split):
    place = tmp_path_factory.mktemp("m")
    save(place / "in" / "masks" / "a.png", mask)
    back = formats.read(place / "in", format="semantic_masks", classes=["x", "y", "z"], split_components=split)
    report = formats.write(back, format="semantic_masks", target=place / "out", pictures=False)
    np.testing.assert_array_equal(read_indices(place / "out" / "masks" / "a.png").pixels, mask)
    assert report.dropped_count == 0
    (task,) = tasks_of(back)
    if split:
        assert all(len(annotation["points"]) == 1 for annotation in task["annotations"])


@pytest.mark.parametrize("kind", ["grey", "palette", "grey16", "rgb grey", "two bits", "interlaced"])
def test_every_kind_of_index_image_is_the_same(tmp_path, kind):
    mask, path = some_mask(), tmp_path / "masks" / "a.png"
    path.parent.mkdir()
    if kind == "grey":
        save(path, mask)
    elif kind == "palette":
        save(path, mask, "P", [0, 0, 0, 9, 9, 9, 200, 0, 0])
    elif kind == "grey16":
        save(path, mask.astype(np.uint16))
    elif kind == "rgb grey":
        save(path, np.dstack([mask] * 3))
    elif kind == "two bits":
        image = Image.fromarray(mask).convert("P")
        image.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
        image.save(path, bits=2)
        assert path.read_bytes()[24] == 2
    else:
        cv2.imwrite(str(path), mask)
    back = formats.read(tmp_path, format="semantic_masks", classes=["dog", "cat"])
    (task,) = tasks_of(back)
    found = painted(task)
    np.testing.assert_array_equal(found["dog"], mask == 1)
    np.testing.assert_array_equal(found["cat"], mask == 2)


def test_colours_by_cvat_s_label_map_and_by_option(tmp_path):
    mask = some_mask()
    colors = np.array([[0, 0, 0], [250, 50, 83], [51, 221, 255], [1, 2, 3]], np.uint8)
    strange = mask.copy()
    strange[0, :5] = 3
    save(tmp_path / "SegmentationClass" / "a.png", colors[strange])
    named = {"#fa3253": "dog", "#33ddff": "cat"}
    by_option = formats.read(tmp_path, format="semantic_masks", classes=named)
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:250,50,83::\ncat:51,221,255::\n"
    )
    for back in (by_option, formats.read(tmp_path, format="semantic_masks")):
        found = painted(tasks_of(back)[0])
        np.testing.assert_array_equal(found["dog"], mask == 1)
        np.testing.assert_array_equal(found["cat"], mask == 2)
        assert [(note.reason, note.count) for note in back.report.dropped] == [("a colour that no class has", 1)]
    save(tmp_path / "SegmentationClass" / "a.png", mask, "P", colors.reshape(-1).tolist())
    found = painted(tasks_of(formats.read(tmp_path, format="semantic_masks"))[0])
    np.testing.assert_array_equal(found["cat"], mask == 2)


def test_classes_txt_pictures_and_void(tmp_path):
    mask = some_mask()
    mask[0, 0] = 255
    save(tmp_path / "masks" / "train" / "a.png", mask)
    save(tmp_path / "images" / "train" / "a.jpg", np.zeros((40, 60, 3), np.uint8))
    (tmp_path / "classes.txt").write_text("background\ndog\ncat\n")
    back = formats.read(tmp_path, format="semantic_masks")
    (task,) = tasks_of(back)
    assert (task["name"], task["tags"]) == ("train/a.jpg", ["train"])
    assert task["url"].endswith("/images/train/a.jpg")
    assert sorted(painted(task)) == ["cat", "dog"]
    assert back.classes.sort_by("order")["value"].to_pylist() == ["dog", "cat"]
    assert back.report.dropped[0].reason == "the void value 255, which no class has"


def test_a_jpeg_among_the_masks_is_told_and_a_picture_beside_its_mask_is_none(tmp_path):
    for name in ("a.png", "sub/a.jpg", "a.jpg"):
        save(tmp_path / "masks" / name, some_mask())
    save(tmp_path / "images/c.jpg", some_mask())
    content = formats.read(tmp_path, format="semantic_masks")
    assert len(tasks_of(content)) == 1
    assert [(note.type, note.count, note.examples) for note in content.report.dropped] == [
        ("image", 1, ("masks/sub/a.jpg",))
    ]
    assert "PNG" in content.report.dropped[0].reason


def test_the_size_an_index_file_states_is_told_only_where_its_mask_has_another(bench):
    place = bench.folder / "out"
    formats.write(bench.labels(*project(bench)), format="semantic_masks", target=place)
    assert formats.read(place, format="semantic_masks").report.noticed == ()
    content = json.loads((place / "classes.json").read_bytes())
    content["images"][0]["width"] += 1
    (place / "classes.json").write_text(json.dumps(content))
    back = formats.read(place, format="semantic_masks")
    (note,) = back.report.noticed
    assert note.examples == (content["images"][0]["mask"],) and "another size" in note.reason
    assert back.tasks["width"].to_pylist() == [100] * back.tasks.num_rows


def test_values_without_a_name_and_instances_without_an_index(tmp_path):
    save(tmp_path / "masks" / "a.png", some_mask())
    back = formats.read(tmp_path, format="semantic_masks")
    assert sorted(painted(tasks_of(back)[0])) == ["class_1", "class_2"]
    assert back.report.noticed[0].count == 2
    objects = formats.read(tmp_path, format="instance_masks", value="thing")
    assert [annotation["value"] for annotation in tasks_of(objects)[0]["annotations"]] == ["thing", "thing"]


def damaged(kind):
    head = struct.pack(">IIBBBBB", 40, 40, 8, 0, 0, 0, 0)

    def chunk(name, data, check=None):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check or zlib.crc32(name + data))

    def png(head, data=b"", check=None):
        rest = chunk(b"IDAT", zlib.compress(data), check) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + rest

    good = png(head, bytes(41 * 40))
    return {
        "no png": b"GIF89a",
        "empty": b"",
        "cut": good[:-20],
        "huge": png(struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 0, 0, 0, 0)),
        "too large": png(struct.pack(">IIBBBBB", MOST_PIXELS, 2, 8, 0, 0, 0, 0)),
        "no size": png(struct.pack(">IIBBBBB", 0, 5, 8, 0, 0, 0, 0)),
        "unknown kind": png(struct.pack(">IIBBBBB", 5, 5, 8, 5, 0, 0, 0)),
        "short": png(head, bytes(41 * 20)),
        "checksum": png(head, bytes(41 * 40), check=7),
        "no zlib": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"xxxx") + chunk(b"IEND", b""),
        "no head": b"\x89PNG\r\n\x1a\n" + chunk(b"IEND", b""),
        "wrong filter": png(head, b"\x09" * (41 * 40)),
        "long chunk": b"\x89PNG\r\n\x1a\n" + b"\xff\xff\xff\xffIHDR",
    }[kind]


KINDS = ["no png", "empty", "cut", "huge", "too large", "no size", "unknown kind", "short", "checksum", "no zlib"]
KINDS += ["no head", "wrong filter", "long chunk"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_mask_is_left_out_and_the_others_are_read(tmp_path, kind):
    save(tmp_path / "masks" / "a.png", some_mask())
    (tmp_path / "masks" / "b.png").write_bytes(damaged(kind))
    with pytest.raises(PngError):
        read_indices(tmp_path / "masks" / "b.png")
    for format in ("semantic_masks", "instance_masks"):
        back = formats.read(tmp_path, format=format)
        assert [task["name"] for task in tasks_of(back)] == ["a.png"]
        (note,) = back.report.dropped
        assert (note.type, note.examples) == ("image", ("masks/b.png",))


def test_nothing_to_read_says_so(tmp_path):
    for format in ("semantic_masks", "instance_masks"):
        with pytest.raises(FileNotFoundError):
            formats.read(tmp_path / "none", format=format)
        with pytest.raises(FileNotFoundError):
            formats.read(tmp_path, format=format)
    (tmp_path / "classes.json").write_text("{")
    with pytest.raises(FormatError, match=r"classes\.json"):
        formats.read(tmp_path, format="semantic_masks")


def test_masks_outside_the_dataset_are_not_opened(bench, tmp_path):
    save(tmp_path / "secret.png", some_mask())
    place = tmp_path / "data"
    place.mkdir()
    (place / "link.png").symlink_to(tmp_path / "secret.png")
    masks = ("../secret.png", str(tmp_path / "secret.png"), "link.png", "a\0.png", f"{'x' * 300}.png", "\ud800")
    rows = [{"mask": mask} for mask in masks]
    (place / "classes.json").write_text(json.dumps({"images": rows}))
    try:
        back = formats.read(place, format="semantic_masks")
    except FormatError:
        (place / "classes.json").write_text(json.dumps({"images": rows[:-1]}))
        back = formats.read(place, format="semantic_masks")
    assert tasks_of(back) == []


VALUES = [None, True, -1, 1e400, 10**30, 255, "x", "", [], {}, [1], {"index": 1}, float("nan"), "../../x", 1.5]


def test_no_index_file_however_odd_is_more_than_an_error(bench, tmp_path):
    """Parts replaced, left out and repeated at random: a FormatError, or labels and a report."""
    formats.write(bench.labels(*project(bench, 2)), format="instance_masks", target=tmp_path)
    formats.write(bench.labels(*project(bench, 2)), format="semantic_masks", target=tmp_path / "s")
    dice = random.Random(4)
    for format, index in (
        ("instance_masks", tmp_path / "instances.json"),
        ("semantic_masks", tmp_path / "s/classes.json"),
    ):
        text = index.read_text()
        for _ in range(120):
            document = json.loads(text)
            for _ in range(dice.randint(1, 3)):
                spots = list(_spots(document))
                holder, key = dice.choice(spots)
                action = dice.random()
                if action < 0.7:
                    holder[key] = dice.choice(VALUES)
                elif isinstance(holder, list):
                    holder.append(holder[key])
                else:
                    del holder[key]
            broken = json.dumps(document)
            index.write_text(broken[: dice.randint(0, len(broken))] if dice.random() < 0.1 else broken)
            try:
                back = formats.read(index.parent, format=format)
            except (FormatError, FileNotFoundError) as error:
                assert index.name in str(error)
            else:
                assert back.report.tasks == back.tasks.num_rows
                assert all(back.annotations["value"].to_pylist())


def _spots(node):
    for key in node if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from _spots(node[key])


def test_no_png_however_odd_is_more_than_a_dropped_image(tmp_path):
    save(tmp_path / "masks" / "a.png", some_mask(), "P", [0, 0, 0, 1, 1, 1, 2, 2, 2])
    path = tmp_path / "masks" / "a.png"
    whole = path.read_bytes()
    dice = random.Random(5)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        path.write_bytes(data[: dice.randint(0, len(data))] if dice.random() < 0.3 else data)
        back = formats.read(tmp_path, format="semantic_masks")
        assert back.report.tasks + sum(note.type == "image" for note in back.report.dropped) == 1
