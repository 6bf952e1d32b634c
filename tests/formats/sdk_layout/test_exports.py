"""Our exports beside the SDK's, of the same generated tasks: the same files, and the same in them."""

from __future__ import annotations

import functools
import http.server
import json
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import xmltodict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fastlabel_dagster.labels import raster

from .generated import (
    HEIGHT,
    NAMES,
    VALUES,
    WIDTH,
    annotation,
    areas,
    attributes,
    boxes,
    classes,
    polygons,
    poses,
    projects,
    task,
)

SOME = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def open_ring(ring: list[float]) -> list[float]:
    return ring[:-2] if len(ring) > 2 and ring[:2] == ring[-2:] else ring


def as_floats(value: Any) -> Any:
    """JSON whose numbers are floats of six decimals, so that equal ones look alike: 1 and 1.0, 0.3 and 0.1 + 0.2."""
    if isinstance(value, list):
        return [as_floats(item) for item in value]
    return round(float(value), 6) if type(value) in (int, float) else value


class Coco:
    """A COCO file, its images and annotations in an order that does not matter."""

    def __init__(self, path: Path) -> None:
        document = json.loads(path.read_text(encoding="utf-8"))
        self.files = {one["id"]: one["file_name"] for one in document["images"]}
        self.images = sorted((one["file_name"], one["width"], one["height"]) for one in document["images"])
        keys = ("id", "name", "supercategory", "color", "keypoints", "keypoint_colors")
        self.categories = [{key: one[key] for key in keys} for one in document["categories"]]
        self.skeletons = [sorted(map(sorted, one["skeleton"])) for one in document["categories"]]
        self.annotations = document["annotations"]

    def rows(self, *keys: str) -> list[list[Any]]:
        found = []
        for one in self.annotations:
            rings = [open_ring(ring) for ring in one["segmentation"]]
            row = {**one, "image": self.files[one["image_id"]], "segmentation": rings}
            found.append([as_floats(row[key]) for key in ("image", "category_id", *keys)])
        return sorted(found, key=repr)


EXACT = ("segmentation", "keypoints", "num_keypoints", "iscrowd", "rotation", "attributes")


def same_coco(theirs: Path, ours: Path, *, boxed: bool = True, colours: bool = True) -> None:
    sdk, mine = (Coco(folder / "annotations.json") for folder in (theirs, ours))
    assert mine.images == sdk.images
    if not colours:  # the SDK's are all that of the last annotation
        for category in (*sdk.categories, *mine.categories):
            del category["color"]
    assert mine.categories == sdk.categories
    assert mine.skeletons == sdk.skeletons
    assert mine.rows(*EXACT) == sdk.rows(*EXACT)
    if boxed:
        assert mine.rows("bbox", "area") == sdk.rows("bbox", "area")
    assert sorted(one["id"] for one in mine.annotations) == list(range(1, len(mine.annotations) + 1))
    assert set(mine.annotations[0] if mine.annotations else {}) == set(sdk.annotations[0] if sdk.annotations else {})


@SOME
@given(projects(st.one_of(boxes(), polygons(), areas(), attributes().flatmap(lambda found: boxes(attributes=found)))))
def test_coco(pair: Any, files: Any, tasks: list[dict[str, Any]]) -> None:
    theirs, ours, report = pair.export("export_coco", "everything", tasks)
    assert list(files(ours)) == list(files(theirs)) == ["annotations.json"]
    same_coco(theirs, ours)
    assert report.dropped_count == 0


@SOME
@given(projects(st.one_of(boxes(), areas(), polygons())), st.permutations([*VALUES, "unused"]))
def test_coco_with_classes(pair: Any, tasks: list[dict[str, Any]], order: list[str]) -> None:
    theirs, ours, _ = pair.export("export_coco", "everything", tasks, classes(order=order))
    same_coco(theirs, ours)


@SOME
@given(projects(st.one_of(poses(), boxes().filter(lambda box: box["value"] != "dog 犬"))), st.permutations(VALUES))
def test_coco_poses(pair: Any, tasks: list[dict[str, Any]], order: list[str]) -> None:
    theirs, ours, _ = pair.export("export_coco", "everything", tasks, classes(order=order, posed=True))
    same_coco(theirs, ours, boxed=False)


def test_coco_under_another_name(pair: Any, files: Any) -> None:
    theirs, ours, _ = pair.export("export_coco", "boxes", [task("a.jpg")], output_file_name="all.JSON")
    assert list(files(ours)) == list(files(theirs)) == ["all.JSON"]


class Yolo:
    """Label files as lists of numbers, and the names of the classes."""

    def __init__(self, folder: Path) -> None:
        self.names = (folder / "classes.txt").read_text(encoding="utf-8").splitlines()
        self.files = {
            path.relative_to(folder).as_posix(): sorted(self._row(line) for line in path.read_text().splitlines())
            for path in sorted((folder / "annotations").rglob("*.txt"))
        }

    @staticmethod
    def _row(line: str) -> list[float]:
        number, *rest = map(float, line.split())
        return [number, *open_ring(rest)]


def same_yolo(theirs: Path, ours: Path) -> None:
    sdk, mine = Yolo(theirs), Yolo(ours)
    assert mine.names == sdk.names
    assert list(mine.files) == list(sdk.files)
    for name, rows in sdk.files.items():
        assert len(mine.files[name]) == len(rows)
        for number, row in enumerate(rows):  # the SDK cuts off after seven decimals, so neighbours may change places
            assert any(
                len(other) == len(row) and np.allclose(other, row, rtol=0, atol=2e-7) for other in mine.files[name]
            ), (name, number)


@SOME
@given(projects(boxes()))
@pytest.mark.parametrize("given_classes", [[], VALUES, [*VALUES, "zebra"]])
def test_yolo_boxes(pair: Any, given_classes: list[str], tasks: list[dict[str, Any]]) -> None:
    same_yolo(*pair.export("export_yolo", "boxes", tasks, given_classes)[:2])


@SOME
@given(projects(polygons()))
def test_yolo_polygons_are_boxes_without_classes_and_outlines_with_them(pair: Any, tasks: list[dict[str, Any]]) -> None:
    same_yolo(*pair.export("export_yolo", "everything", tasks)[:2])
    same_yolo(*pair.export("export_yolo", "everything", tasks, VALUES)[:2])


@SOME
@given(projects(st.one_of(areas(), polygons())))
def test_yolo_of_a_segmentation_project(pair: Any, tasks: list[dict[str, Any]]) -> None:
    same_yolo(*pair.export("export_yolo", "areas", tasks)[:2])


@SOME
@given(projects(areas(regions=1)))
def test_yolo_areas_of_one_region_with_classes(pair: Any, tasks: list[dict[str, Any]]) -> None:
    same_yolo(*pair.export("export_yolo", "areas", tasks, VALUES)[:2])


def switches() -> st.SearchStrategy[list[dict[str, Any]]]:
    def switch(key: str) -> st.SearchStrategy[dict[str, Any]]:
        return st.booleans().map(lambda value: {"key": key, "name": key, "type": "switch", "value": value})

    return st.lists(
        st.sampled_from(["truncated", "occluded", "difficult"]).flatmap(switch),
        unique_by=lambda one: one["key"],
        max_size=3,
    )


def voc(path: Path) -> Any:
    found = xmltodict.parse(path.read_bytes())["annotation"]
    objects = found.get("object") or []
    keys = ("name", "pose", "truncated", "occluded", "difficult", "bndbox")
    rows = [{key: one[key] for key in keys} for one in (objects if isinstance(objects, list) else [objects])]
    for row in rows:  # a switch that is off says so, in an attribute of its element; the SDK's is not told from none
        row |= {
            key: row[key].get("#text") for key in ("truncated", "occluded", "difficult") if type(row[key]) is not str
        }
    return found["filename"], found["size"], found["segmented"], rows


@SOME
@given(projects(st.one_of(polygons(whole=True), switches().flatmap(lambda found: boxes(whole=True, attributes=found)))))
def test_pascal_voc(pair: Any, files: Any, tasks: list[dict[str, Any]]) -> None:
    theirs, ours, _ = pair.export("export_pascalvoc", "boxes", tasks)
    sdk, mine = files(theirs), files(ours)
    assert list(mine) == list(sdk)
    assert {name: voc(path) for name, path in mine.items()} == {name: voc(path) for name, path in sdk.items()}


def labelme(path: Path) -> Any:
    found = json.loads(path.read_text(encoding="utf-8"))
    shapes = []
    for shape in found["shapes"]:
        points = shape["points"]
        if shape["shape_type"] == "polygon" and points[0] == points[-1]:
            points = points[:-1]
        shapes.append([shape["label"], points, shape["group_id"], shape["shape_type"], shape["flags"]])
    # The path is seen from the file's folder, which the SDK forgets.
    found["imagePath"] = Path(found["imagePath"]).name
    return [found[key] for key in ("imagePath", "imageData", "imageHeight", "imageWidth", "flags")], shapes


points_and_lines = st.one_of(
    st.tuples(st.integers(0, WIDTH), st.integers(0, HEIGHT)).map(lambda point: annotation("keypoint", list(point))),
    boxes(whole=True).map(lambda box: {**box, "type": "line"}),
)


@SOME
@given(projects(st.one_of(boxes(), polygons(), areas(regions=1), points_and_lines)))
def test_labelme(pair: Any, files: Any, tasks: list[dict[str, Any]]) -> None:
    theirs, ours, _ = pair.export("export_labelme", tasks)
    sdk, mine = files(theirs), files(ours)
    assert list(mine) == list(sdk)
    assert {name: labelme(path) for name, path in mine.items()} == {name: labelme(path) for name, path in sdk.items()}


def picture(path: Path) -> tuple[str, tuple[int, int], Any, bytes]:
    with Image.open(path) as image:
        return image.mode, image.size, image.getpalette(), image.tobytes()


def same_pictures(files: Any, theirs: Path, ours: Path) -> None:
    sdk, mine = files(theirs), files(ours)
    assert list(mine) == list(sdk)
    for name, path in sdk.items():
        assert picture(mine[name]) == picture(path)


@st.composite
def traced(draw: Any) -> list[dict[str, Any]]:
    """Segmentations that do not overlap, with holes and several regions, along pixel edges."""
    cells = np.array(draw(st.lists(st.integers(0, 5), min_size=30, max_size=30))).reshape(5, 6)
    owner = np.kron(cells, np.ones((HEIGHT // 5, WIDTH // 6), np.int64))
    shapes = [
        annotation("segmentation", raster.mask_to_regions(owner == index), VALUES[index % 3])
        for index in draw(st.permutations(sorted(set(cells.ravel().tolist()) - {0})))
    ]
    return [task(draw(st.sampled_from(NAMES)), *shapes)]


shapes_of_masks = st.one_of(traced(), projects(st.one_of(polygons(), boxes(), boxes(whole=True)), most=7))


@SOME
@given(shapes_of_masks, st.integers(0, 1), st.sampled_from([None, [0, 0, 0, *range(30, 90)]]))
def test_instance_masks(pair: Any, files: Any, tasks: list[dict[str, Any]], start_index: int, pallete: Any) -> None:
    options = {} if pallete is None else {"pallete": pallete}
    theirs, ours, _ = pair.export("export_instance_segmentation", tasks, start_index=start_index, **options)
    same_pictures(files, theirs, ours)


@SOME
@given(shapes_of_masks, st.integers(0, 1), st.permutations(VALUES) | st.just([]))
def test_semantic_masks(pair: Any, files: Any, tasks: list[dict[str, Any]], start_index: int, order: list[str]) -> None:
    theirs, ours, _ = pair.export("export_semantic_segmentation", tasks, classes=order, start_index=start_index)
    same_pictures(files, theirs, ours)


DRAWN = [
    annotation("bbox", [10, 10, 60, 50]),
    annotation("polygon", [10, 80, 100, 70, 60, 20], "dog 犬", color="#0080ff"),
    annotation("line", [5, 5, 110, 20, 80, 80]),
    annotation("circle", [60, 45, 20]),
    annotation("keypoint", [90, 60]),
]


@pytest.mark.parametrize("shape", DRAWN, ids=lambda shape: shape["type"])
def test_drawings(pair: Any, files: Any, shape: dict[str, Any]) -> None:
    pictures = pair.folder()
    names = ["a.png", "sub/b.jpg", "sub/c.JPEG"]
    noise = np.random.default_rng(3).integers(0, 255, (9, 12, 3), np.uint8)
    original = cv2.resize(noise, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    for name in (*names, "of-no-task.png"):
        (pictures / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(pictures / name), original)
    tasks = [task(name, shape) for name in (*names, "no-picture.png")]
    theirs, ours, report = pair.export("export_image_with_annotations", tasks, str(pictures))
    assert list(files(ours)) == list(files(theirs)) == names
    assert (report.written, report.dropped_count) == (3, 1)
    sdk, mine = (cv2.imread(str(folder / "a.png")) for folder in (theirs, ours))
    changed, expected = ((drawn != original).any(axis=2) for drawn in (mine, sdk))
    assert (changed & expected).sum() / (changed | expected).sum() > 0.8
    assert np.abs(mine.astype(int) - sdk)[changed & expected].mean() < 2


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and says nothing."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def film(tmp_path_factory: Any) -> Any:
    """The address of a video of 12 frames."""
    folder = tmp_path_factory.mktemp("films")
    writer = cv2.VideoWriter(str(folder / "cat.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("OpenCV has no codec for MP4 here")
    for shade in range(12):
        writer.write(np.full((48, 64, 3), 20 * shade, np.uint8))
    writer.release()
    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/cat.mp4"
    server.shutdown()
    server.server_close()


class TestVideos:
    def tasks(self, film: str) -> list[dict[str, Any]]:
        tracks = [{1: [4, 6, 24, 26], 2: [5, 6, 25, 26], 12: [30, 10, 60, 40]}, {12: [0, 0, 63, 47]}]
        shapes = [
            annotation("bbox", {str(frame): {"value": box} for frame, box in track.items()}, value)
            for track, value in zip(tracks, VALUES, strict=False)
        ]
        return [task("films/my cat.mp4", *shapes, width=64, height=48, url=film, frameCount=12)]

    def test_coco(self, pair: Any, files: Any, film: str) -> None:
        theirs, ours, _ = pair.export("export_coco", "films", self.tasks(film))
        self.same_frames(files(theirs), files(ours), 12)
        sdk, mine = (Coco(folder / "annotations.json") for folder in (theirs, ours))

        def named(document: Coco) -> list[Any]:
            rows = document.rows("bbox", "area", "segmentation")
            return sorted(([Path(row[0]).name, *row[1:]] for row in rows), key=repr)

        assert named(mine) == named(sdk)
        assert [Path(name).name for name, *_ in mine.images] == [name for name, *_ in sdk.images]

    def test_yolo_and_voc(self, pair: Any, files: Any, film: str) -> None:
        theirs, ours, _ = pair.export("export_yolo", "films", self.tasks(film), VALUES)
        self.same_frames(files(theirs), files(ours), 12)
        sdk, mine = Yolo(theirs), Yolo(ours)
        assert mine.names == sdk.names
        for (_, expected), (_, rows) in zip(sorted(sdk.files.items()), sorted(mine.files.items()), strict=True):
            np.testing.assert_allclose(rows, expected, rtol=0, atol=2e-7)
        theirs, ours, _ = pair.export("export_pascalvoc", "films", self.tasks(film))
        self.same_frames(files(theirs), files(ours), 12)
        sdk_voc, my_voc = (
            [voc(path)[1:] for path in sorted((folder / "annotations").rglob("*.xml"))] for folder in (theirs, ours)
        )
        assert my_voc == sdk_voc

    def test_an_ending_longer_than_a_file_name_may_be(self, pair: Any, film: str, tmp_path: Path) -> None:
        tasks = [*self.tasks(film), task("films/dog." + "長" * 100, width=64, height=48, url=film, frameCount=12)]
        pair.ours.export_coco("films", tasks, output_dir=tmp_path)
        assert len(list((tmp_path / "images").rglob("*.jpg"))) == 24

    @staticmethod
    def same_frames(theirs: dict[str, Path], ours: dict[str, Path], count: int) -> None:
        """The SDK forgets the folder of the video's name; the frames are the same, byte for byte."""
        sdk, mine = (
            {path.name: path.read_bytes() for name, path in found.items() if name.startswith("images/")}
            for found in (theirs, ours)
        )
        assert mine == sdk
        assert len(mine) == count
