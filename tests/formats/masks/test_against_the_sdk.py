"""Masks equal the official SDK's pixel for pixel wherever those are right; where they are not, both are shown."""

from __future__ import annotations

import numpy as np
import pytest

from fastlabel_dagster.labels import raster


def box(bench, x1, y1, x2, y2, value="dog", **fields):
    return bench.shape("bbox", [x1, y1, x2, y2], value, **fields)


def square(x1, y1, x2, y2):
    return [x1, y1, x2, y1, x2, y2, x1, y2, x1, y1]


def area(bench, *regions, value="dog", **fields):
    return bench.shape("segmentation", [list(region) for region in regions], value, **fields)


def same(ours, theirs):
    assert list(ours) == list(theirs)
    for name, mask in theirs.items():
        assert ours[name].mode == mask.mode == "P"
        assert ours[name].palette == mask.palette
        np.testing.assert_array_equal(ours[name].pixels, mask.pixels, err_msg=name)


def traced_tasks(bench, count=12):
    """Pictures of non-overlapping shapes along pixel edges, as FastLabel's segmentation tool draws them."""
    random = np.random.default_rng(11)
    tasks = []
    for number in range(count):
        owner = np.kron(random.integers(0, 6, (10, 12)), np.ones((8, 8), np.int64))[:80, :96]
        annotations = []
        for index in range(1, 6):
            points = raster.mask_to_regions(owner == index)
            if points:
                turned = [
                    [ring if random.random() < 0.5 or place else reverse(ring) for place, ring in enumerate(region)]
                    for region in points
                ]
                annotations.append(area(bench, *turned, value="abc"[index % 3]))
        tasks.append(bench.task(f"{number}.jpg", *annotations))
    return tasks


def reverse(ring):
    return [number for point in reversed(list(zip(ring[::2], ring[1::2], strict=True))) for number in point]


@pytest.mark.parametrize("pixels", ["centers", "sdk"])
@pytest.mark.parametrize("start_index", [1, 0])
def test_outlines_along_pixel_edges_with_holes_and_regions_either_way_round(bench, ours, theirs, pixels, start_index):
    tasks = traced_tasks(bench)
    expected = theirs(tasks, start_index=start_index)
    _, masks = ours(tasks, pixels=pixels, start_index=start_index)
    same(masks, expected)


def test_semantic_masks_with_classes_sorted_or_given(bench, ours, theirs):
    tasks = traced_tasks(bench)
    expected = theirs(tasks, "semantic_masks")
    assert {index for mask in expected.values() for index in mask.counts()} == {0, 1, 2, 3}
    same(ours(tasks, "semantic_masks", order="sorted")[1], expected)
    expected = theirs(tasks, "semantic_masks", classes=["c", "a", "b"])
    same(ours(tasks, "semantic_masks", order=["c", "a", "b"])[1], expected)


def shapes(bench, random, kind):
    def some(count):
        points = random.uniform(-3, 45, (count, 2))
        return np.round(points) if random.random() < 0.5 else points

    if kind == "bbox":
        return bench.shape("bbox", some(2).reshape(-1).tolist())
    angles = np.sort(random.uniform(0, 2 * np.pi, random.integers(3, 9)))
    centre, radius = random.uniform(10, 35, 2), random.uniform(8, 18)
    outline = centre + radius * np.column_stack([np.cos(angles), np.sin(angles)])
    if kind == "polygon":
        points = outline if random.random() < 0.6 else some(random.integers(3, 9))
        closing = points[:1] if random.random() < 0.3 else points[:0]
        return bench.shape("polygon", np.concatenate([points, closing]).reshape(-1).tolist())
    region = [outline if random.random() < 0.5 else outline[::-1]]
    if random.random() < 0.5:
        region.append(np.round(centre + 4 * (region[0] - centre) / radius)[:: random.choice([1, -1])])
    return bench.shape("segmentation", [[np.vstack([ring, ring[:1]]).reshape(-1).tolist() for ring in region]])


@pytest.mark.parametrize("kind", ["bbox", "polygon", "segmentation"])
def test_the_sdk_s_pixels_for_any_shape_on_request(bench, ours, theirs, kind):
    """Fractions, slanted edges, crossing outlines, reversed corners, shapes that reach outside: all with stairs."""
    random = np.random.default_rng(len(kind))
    tasks = [bench.task(f"{number}.jpg", shapes(bench, random, kind), width=50, height=45) for number in range(150)]
    same(ours(tasks, pixels="sdk")[1], theirs(tasks))


def test_whole_boxes_and_polygons_with_right_angles_are_the_same(bench, ours, theirs):
    tasks = [
        bench.task("a.jpg", box(bench, 10, 20, 30, 60), box(bench, 50, 5, 40, 1)),
        bench.task("b.jpg", bench.shape("polygon", [5, 5, 45, 5, 45, 35, 25, 35, 25, 20, 5, 20])),
        bench.task("c.jpg"),
        bench.task("sub/d.jpg", box(bench, 0, 0, 100, 80)),
    ]
    same(ours(tasks)[1], theirs(tasks))


def test_slanted_edges_follow_pixel_centres_where_the_sdk_has_stairs(bench, ours, theirs):
    triangle = [10, 10, 90, 20, 30, 75]
    task = bench.task("a.jpg", bench.shape("polygon", triangle))
    exact = abs(80 * 65 - 10 * 20) / 2
    sdk, centres = theirs([task])["a.png"], ours([task])[1]["a.png"]
    assert abs(centres.counts()[1] - exact) < 5 < abs(sdk.counts()[1] - exact)


def test_fractions_belong_where_the_centre_is_the_sdk_cuts_them_off(bench, ours, theirs):
    task = bench.task("a.jpg", box(bench, 10.9, 10.9, 20.9, 20.9))
    assert theirs([task])["a.png"].pixels[10, 10] == 1
    mask = ours([task])[1]["a.png"]
    assert mask.pixels[10, 10] == 0
    assert mask.pixels[11:21, 11:21].all()
    assert mask.counts()[1] == 100


def test_a_polygon_the_other_way_round_is_no_larger_here(bench, ours, theirs):
    """The SDK moves borders inwards as if polygons ran clockwise."""
    task = bench.task("a.jpg", bench.shape("polygon", [10, 10, 10, 20, 20, 20, 20, 10]))
    assert theirs([task])["a.png"].counts()[1] > 100
    assert ours([task])[1]["a.png"].counts()[1] == 100


def overlapping(bench):
    return bench.task(
        "a.jpg",
        area(bench, [square(0, 0, 40, 40)], value="a"),
        area(bench, [square(20, 20, 60, 60)], value="b"),
    )


@pytest.mark.parametrize("format", ["instance_masks", "semantic_masks"])
def test_no_index_of_nobody_where_shapes_overlap(bench, ours, theirs, format):
    task = overlapping(bench)
    assert theirs([task], format)["a.png"].counts() == {0: 5200, 1: 1200, 2: 1200, 3: 400}
    report, masks = ours([task], format)
    assert masks["a.png"].counts() == {0: 5200, 1: 1200, 2: 1600}
    assert [note.reason for note in report.noticed] == ["later annotations cover a part of it"]


def test_the_order_of_annotations_decides_and_not_their_type(bench, ours, theirs):
    task = bench.task("a.jpg", area(bench, [square(0, 0, 40, 40)]), box(bench, 0, 0, 20, 20))
    assert theirs([task])["a.png"].counts() == {0: 6400, 1: 1200, 3: 400}
    assert ours([task])[1]["a.png"].counts() == {0: 6400, 1: 1200, 2: 400}


def test_boxes_are_turned(bench, ours, theirs):
    task = bench.task("a.jpg", box(bench, 10, 40, 90, 60, rotation=90))
    extents = []
    for masks in (theirs([task]), ours([task])[1]):
        rows, columns = np.nonzero(masks["a.png"].pixels)
        extents.append((columns.min(), columns.max(), rows.min(), rows.max()))
    assert extents == [(10, 89, 40, 59), (40, 59, 10, 79)]


def test_more_than_255_objects_have_numbers_of_their_own(bench, ours, theirs):
    boxes = [box(bench, 3 * (n % 30), 3 * (n // 30), 3 * (n % 30) + 2, 3 * (n // 30) + 2) for n in range(300)]
    task = bench.task("a.jpg", *[{**one, "id": f"a{number}"} for number, one in enumerate(boxes)], width=100, height=80)
    assert len(theirs([task])["a.png"].counts()) < 301
    mask = ours([task])[1]["a.png"]
    assert mask.mode.startswith("I;16")
    assert mask.counts() == {0: 8000 - 1200, **dict.fromkeys(range(1, 301), 4)}


def test_colours_go_on_where_the_sdk_s_end(bench, ours, theirs):
    boxes = [box(bench, 5 * (n % 20), 5 * (n // 20), 5 * (n % 20) + 4, 5 * (n // 20) + 4) for n in range(120)]
    task = bench.task("a.jpg", *boxes)
    sdk, mask = theirs([task])["a.png"], ours([task])[1]["a.png"]
    np.testing.assert_array_equal(mask.pixels, sdk.pixels)
    assert len(sdk.palette) == 3 * 58
    assert mask.palette[: 3 * 58] == sdk.palette
    colors = [tuple(mask.palette[3 * index : 3 * index + 3]) for index in range(58, 256)]
    assert len(set(colors)) == len(colors)
    assert (0, 0, 0) not in colors


def test_a_class_nobody_asked_for_is_left_out_and_no_error(bench, ours, theirs):
    task = bench.task("a.jpg", box(bench, 0, 0, 10, 10, "cat"), box(bench, 20, 20, 30, 30, "dog"))
    with pytest.raises(ValueError, match="not in list"):
        theirs([task], "semantic_masks", classes=["cat"])
    report, masks = ours([task], "semantic_masks", order=["cat"])
    assert masks["a.png"].counts() == {0: 7900, 1: 100}
    assert [(note.reason, note.count) for note in report.dropped] == [("its class is not one of those asked for", 1)]


def test_two_pictures_of_one_name_do_not_share_a_mask(bench, ours, theirs):
    tasks = [bench.task("a.jpg", box(bench, 0, 0, 10, 10)), bench.task("a.png", box(bench, 0, 0, 20, 20))]
    assert len(theirs(tasks)) == 1
    assert sorted(mask.counts()[1] for mask in ours(tasks)[1].values()) == [100, 400]


def test_the_tasks_are_not_changed(bench, ours, theirs):
    """The SDK copies all of them first; so it is here, at no cost: they are columns."""
    tasks = traced_tasks(bench, 2)
    before = repr(tasks)
    theirs(tasks)
    ours(tasks)
    assert repr(tasks) == before
