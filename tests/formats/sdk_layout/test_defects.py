"""Where the SDK's methods on files are wrong: what they do, and what ours do in their place, both by doing it.

A difference of `ON_FILES` without a row here fails, and so does a row without a difference. The ids are those under
which the tests of the formats show the same defects in more depth.
"""

from __future__ import annotations

import copy
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
from PIL import Image

from fastlabel_dagster.api.sdk_names.differences import ON_FILES

from .generated import annotation, task


class Row(NamedTuple):
    """One defect: ``act(client, folder)`` is done with both clients; an error counts as its name."""

    difference: str
    ids: str
    act: Callable[[Any, Path], Any]
    sdk: Any
    ours: Any


def box(*points: float, value: str = "cat", **fields: Any) -> dict[str, Any]:
    return annotation("bbox", list(points), value, **fields)


def square(x1: float, y1: float, x2: float, y2: float) -> list[float]:
    return [x1, y1, x2, y1, x2, y2, x1, y2, x1, y1]


RING, HOLE, OTHER = square(0, 0, 40, 40), [10, 10, 10, 30, 30, 30, 30, 10, 10, 10], square(60, 60, 70, 70)
AREA = annotation("segmentation", [[RING, HOLE], [OTHER]])
REGIONS = annotation("segmentation", [[RING], [OTHER]])
TURNED = box(10, 40, 90, 60, rotation=90)


def one(*shapes: dict[str, Any], name: str = "a.jpg", **fields: Any) -> list[dict[str, Any]]:
    return [task(name, *shapes, **{"width": 100, "height": 80, **fields})]


def coco(
    look: Callable[[dict[str, Any]], Any], tasks: list[dict[str, Any]], *classes: dict[str, Any]
) -> Callable[[Any, Path], Any]:
    """What ``look`` sees in the COCO file."""

    def act(client: Any, folder: Path) -> Any:
        client.export_coco("everything", copy.deepcopy(tasks), list(classes), str(folder))
        return look(json.loads((folder / "annotations.json").read_text()))

    return act


def rows(*keys: str) -> Callable[[dict[str, Any]], Any]:
    """These keys of the annotations; just the value when it is one key."""

    def look(document: dict[str, Any]) -> Any:
        found = [[row[key] for key in keys] for row in document["annotations"]]
        return [row[0] for row in found] if len(keys) == 1 else found

    return look


def yolo(
    tasks: list[dict[str, Any]], classes: list[str] | None = None, project: str = "everything"
) -> Callable[[Any, Path], Any]:
    """File -> text."""

    def act(client: Any, folder: Path) -> Any:
        client.export_yolo(project, copy.deepcopy(tasks), classes or [], str(folder))
        return texts(folder)

    return act


def texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in sorted(folder.rglob("*.*"))}


def numbers(count: int, tasks: list[dict[str, Any]], classes: list[str] | None = None) -> Callable[[Any, Path], Any]:
    """The first ``count`` numbers of each line of the one label file."""

    def act(client: Any, folder: Path) -> Any:
        text = yolo(tasks, classes)(client, folder)["annotations/a.txt"]
        return [[round(float(word), 4) for word in line.split()[:count]] for line in text.splitlines()]

    return act


def voc(tasks: list[dict[str, Any]]) -> Callable[[Any, Path], Any]:
    """The corners of all boxes."""

    def act(client: Any, folder: Path) -> Any:
        client.export_pascalvoc("boxes", copy.deepcopy(tasks), str(folder))
        found = re.findall(r"<[xy]m\w\w>([^<]*)<", (folder / "annotations/a.xml").read_text())
        return [list(map(int, found[start : start + 4])) for start in range(0, len(found), 4)]

    return act


def labelme(look: Callable[[dict[str, Any]], Any], tasks: list[dict[str, Any]]) -> Callable[[Any, Path], Any]:
    def act(client: Any, folder: Path) -> Any:
        client.export_labelme(copy.deepcopy(tasks), str(folder))
        return look(json.loads(next(folder.rglob("*.json")).read_text()))

    return act


def shape_types(shape: dict[str, Any]) -> Callable[[Any, Path], Any]:
    return labelme(lambda document: [found["shape_type"] for found in document["shapes"]], one(shape))


def mask(
    tasks: list[dict[str, Any]], look: Callable[[Any], Any] | None = None, **options: Any
) -> Callable[[Any, Path], Any]:
    """How many pixels each index has, or what ``look`` sees in the picture."""

    def act(client: Any, folder: Path) -> Any:
        kind = "semantic" if "classes" in options else "instance"
        getattr(client, f"export_{kind}_segmentation")(copy.deepcopy(tasks), str(folder), **options)
        with Image.open(folder / "a.png") as image:
            return counted(np.array(image)) if look is None else look(image)

    return act


def counted(pixels: Any) -> dict[int, int]:
    return dict(zip(*(found.tolist() for found in np.unique(pixels, return_counts=True)), strict=True))


def read(method: str, files: dict[str, Any], *arguments: Any) -> Callable[[Any, Path], Any]:
    """Picture -> type and points of its annotations, of files that are written first."""

    def act(client: Any, folder: Path) -> Any:
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                cv2.imwrite(str(path), np.zeros((80, 100, 3), np.uint8))
            else:
                path.write_text(content if isinstance(content, str) else json.dumps(content))
        places = [argument.format(folder) if isinstance(argument, str) else argument for argument in arguments]
        found = getattr(client, f"convert_{method}_to_fastlabel")(*places)
        return {name: [(row["type"], row["points"]) for row in shapes] for name, shapes in found.items()}

    return act


def coco_file(*annotations: dict[str, Any], kind: str = "polygon") -> Callable[[Any, Path], Any]:
    document = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"id": n, "image_id": 1, "category_id": 1, **row} for n, row in enumerate(annotations, 1)],
    }
    return read("coco", {"coco.json": document}, "{}/coco.json", kind)


def voc_file(*boxes: str, name: str = "a.xml") -> Callable[[Any, Path], Any]:
    objects = "".join(f"<object><name>cat</name><bndbox>{box}</bndbox></object>" for box in boxes)
    size = "<size><width>100</width><height>80</height><depth>3</depth></size>"
    text = f"<annotation><filename>a.jpg</filename>{size}{objects}</annotation>"
    return read("pascalvoc", {name: text}, "{}")


def attributes_of_voc(client: Any, folder: Path) -> Any:
    """What is told of an object that is cut off."""
    folder.mkdir(parents=True)
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
    head = "<filename>a.jpg</filename><size><width>100</width><height>80</height><depth>3</depth></size>"
    objects = f"<object><name>cat</name><truncated>1</truncated><difficult>0</difficult>{box}</object>" * 2
    (folder / "a.xml").write_text(f"<annotation>{head}{objects}</annotation>")
    (first, _) = client.convert_pascalvoc_to_fastlabel(str(folder))["a.jpg"]
    return first.get("attributes", [])


def labelme_file(*shapes: dict[str, Any]) -> Callable[[Any, Path], Any]:
    fields = {"label": "cat", "group_id": None, "flags": {}}
    document = {"version": "5", "flags": {}, "imagePath": "a.jpg", "imageData": None, "imageHeight": 80}
    document |= {"imageWidth": 100, "shapes": [{**fields, **shape} for shape in shapes]}
    return read("labelme", {"a.json": document}, "{}")


def yolo_file(text: str, project: str = "image_bbox", **files: Any) -> Callable[[Any, Path], Any]:
    content = {"classes.names": "cat\n", "data/a.jpg": None, "data/a.txt": text, **files}
    return read("yolo", content, "{}/classes.names", "{}/data", project)


def traversal(client: Any, folder: Path) -> Any:
    tasks = [task(name, box(0, 0, 9, 9)) for name in ("a.jpg", "a.png", "../../evil.jpg")]
    client.export_yolo("boxes", tasks, ["cat"], str(folder / "x/y"))
    inside = [path for path in folder.rglob("*.txt") if (folder / "x/y/annotations") in path.parents]
    return len(inside), (folder / "x/evil.txt").exists()


def file_name(client: Any, folder: Path) -> Any:
    client.export_coco("boxes", one(), [], str(folder / "x"), "../out.json")
    return (folder / "out.json").exists()


def changed_tasks(client: Any, folder: Path) -> Any:
    return drawn(client, folder, annotation("polygon", [1, 1, 20, 1, 20, 20]))[0]


def see_through(client: Any, folder: Path) -> Any:
    return drawn(client, folder, annotation("segmentation", [[square(10, 10, 50, 50)]]))[1]


def drawn(client: Any, folder: Path, shape: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the tasks were changed, and whether the picture has lost its opacity."""
    (folder / "pictures").mkdir(parents=True)
    cv2.imwrite(str(folder / "pictures/a.png"), np.full((80, 100, 3), 90, np.uint8))
    tasks = one(shape, name="a.png")
    before = copy.deepcopy(tasks)
    client.export_image_with_annotations(tasks, str(folder / "pictures"), str(folder / "out"))
    pixels = cv2.imread(str(folder / "out/a.png"), cv2.IMREAD_UNCHANGED)
    return tasks != before, pixels.shape[2] == 4 and bool(pixels[..., 3].min() < 255)


def reported(client: Any, folder: Path) -> Any:
    report = client.export_yolo("boxes", one(annotation("line", [1, 1, 9, 9]), box(1, 1, 9, 9)), [], str(folder))
    return report and (report.written, report.dropped_count)


def unknown_project(client: Any, folder: Path) -> Any:
    client.export_yolo("nobody", [], [], str(folder))


def touching(client: Any, folder: Path) -> Any:
    """How many regions the points of a mask have, and how many pixels are others when they are painted again."""
    pixels = np.zeros((12, 12), np.uint8)
    pixels[2:6, 2:6] = pixels[6:10, 6:10] = 1
    points = client.mask_to_fastlabel_segmentation_points(pixels.copy())
    client.export_instance_segmentation(one(annotation("segmentation", points), width=12, height=12), str(folder))
    with Image.open(folder / "a.png") as image:
        return len(points), int((np.array(image) != pixels).sum())


POSE_CLASS = {
    **{"id": "c", "type": "pose_estimation", "value": "cat", "title": "Cat", "color": "#00ff00", "order": 1},
    "keypoints": [{"id": key, "key": key, "name": key, "color": "#000000", "edges": []} for key in "ab"],
}
POSE = annotation(
    "pose_estimation",
    [],
    keypoints=[
        {"key": key, "name": key, "value": value, "edges": []} for key, value in (("a", [5, 6, 1]), ("b", [7, 9, 0]))
    ],
)
CAT_CLASS = {**POSE_CLASS, "type": "bbox", "keypoints": []}
MANY = [box(3 * (n % 30), 3 * (n // 30), 3 * (n % 30) + 2, 3 * (n // 30) + 2) for n in range(300)]

ROWS = [
    Row("answers", "", reported, None, (1, 1)),
    Row("projects that are not there", "", unknown_project, "FastLabelInvalidException", "NotFound"),
    Row("names", "Y8 Y9", traversal, (1, True), (3, False)),
    Row("places", "", file_name, True, "Invalid"),
    Row("tasks stay", "", changed_tasks, True, False),
    Row(
        "classes of COCO",
        "C1",
        coco(
            lambda document: {row["name"]: row["color"] for row in document["categories"]},
            one(box(0, 0, 9, 9, color="#ff0000"), box(0, 0, 8, 8, value="bird", color="#00ff00")),
        ),
        {"bird": "#00ff00", "cat": "#00ff00"},
        {"bird": "#00ff00", "cat": "#ff0000"},
    ),
    Row(
        "classes of COCO",
        "C8",
        coco(
            lambda document: len(document["annotations"]),
            one(box(0, 0, 9, 9), box(0, 0, 9, 9, value="bird")),
            CAT_CLASS,
        ),
        1,
        2,
    ),
    Row("turned boxes", "C2", coco(rows("bbox"), one(TURNED)), [[10, 40, 80, 20]], [[40, 10, 20, 80]]),
    Row(
        "turned boxes",
        "Y4",
        numbers(5, one(TURNED), ["cat"]),
        [[0, 0.5, 0.625, 0.8, 0.25]],
        [[0, 0.5, 0.5625, 0.2, 0.875]],
    ),
    Row("turned boxes", "V1", voc(one(TURNED)), [[10, 40, 90, 60]], [[40, 10, 60, 90]]),
    Row(
        "turned boxes",
        "M3",
        mask(one(TURNED), lambda image: Image.eval(image, bool).getbbox()),
        (10, 40, 90, 60),
        (40, 10, 60, 80),
    ),
    Row(
        "holes and regions",
        "C3",
        coco(lambda document: [row["area"] for row in document["annotations"]], one(AREA)),
        [1700],
        [1300],
    ),
    Row(
        "holes and regions",
        "Y5",
        lambda client, folder: [len(row) for row in numbers(99, one(AREA), ["cat"])(client, folder)],
        [33],
        [9, 9],
    ),
    Row("holes and regions", "L1", shape_types(AREA), ["polygon"], ["mask"]),
    Row("holes and regions", "L1", shape_types(REGIONS), ["polygon"], ["polygon", "polygon"]),
    Row("small boxes", "C4", coco(rows("bbox"), one(box(10.25, 10.25, 10.75, 10.75))), [], [[10.25, 10.25, 0.5, 0.5]]),
    Row(
        "poses of COCO",
        "C7",
        coco(rows("keypoints", "num_keypoints", "bbox"), one(POSE)),
        [[[], 2, []]],
        [[[5, 6, 2, 7, 9, 1], 2, [5, 6, 2, 3]]],
    ),
    Row("poses of COCO", "C7b", coco(rows("bbox", "area"), one(POSE), POSE_CLASS), [[[], 0]], [[[5, 6, 2, 3], 6]]),
    Row(
        "types",
        "C6",
        coco(
            lambda document: len(document["annotations"]),
            one(annotation("keypoint", [5, 5]), annotation("circle", [20, 20, 5]), annotation("line", [0, 0, 5, 5])),
        ),
        0,
        2,
    ),
    Row("types", "V1", voc(one(AREA)), [], [[0, 0, 70, 70]]),
    Row(
        "order",
        "C5",
        coco(rows("area"), one(box(0, 0, 50, 50, value="b"), box(0, 0, 10, 10, value="a"), box(0, 0, 5, 5, value="a"))),
        [25, 100, 2500],
        [2500, 100, 25],
    ),
    Row(
        "order",
        "Y12",
        numbers(1, one(box(0, 0, 9, 9, value="c02"), box(0, 0, 9, 9, value="c10")), [f"c{n:02}" for n in range(11)]),
        [[10], [2]],
        [[2], [10]],
    ),
    Row(
        "outlines of COCO",
        "C9",
        coco(rows("segmentation"), one(box(10, 10, 20, 20))),
        [[[10, 10, 20, 10, 20, 20, 10, 20, 10, 10]]],
        [[[10, 10, 20, 10, 20, 20, 10, 20]]],
    ),
    Row(
        "class numbers of YOLO",
        "Y1",
        lambda client, folder: {
            name: text.split()[0] for name, text in yolo(one(box(0, 0, 9, 9)), ["cat", "ant"])(client, folder).items()
        },
        {"annotations/a.txt": "0", "classes.txt": "ant"},
        {"annotations/a.txt": "0", "classes.txt": "cat"},
    ),
    Row(
        "numbers of YOLO",
        "Y2",
        lambda client, folder: yolo(one(box(0, 0, 2, 2), width=3, height=3))(client, folder)["annotations/a.txt"],
        "0 0.3333333 0.3333333 0.6666666 0.6666666\n",
        "0 0.333333333 0.333333333 0.666666667 0.666666667\n",
    ),
    Row(
        "numbers of YOLO",
        "Y2b",
        lambda client, folder: (
            "e-" in str(yolo(one(annotation("polygon", [0, 0, 1e-5, 0, 40, 40])), ["cat"])(client, folder))
        ),
        True,
        False,
    ),
    Row(
        "numbers of YOLO",
        "Y11",
        numbers(5, one(box(-20, -40, 150, 40))),
        [[0, 0.65, 0, 1.7, 1]],
        [[0, 0.5, 0.25, 1, 0.5]],
    ),
    Row(
        "boxes among outlines",
        "",
        lambda client, folder: [
            len(row)
            for row in numbers(99, one(box(0, 0, 9, 9), annotation("polygon", [0, 0, 9, 0, 9, 9])), ["cat"])(
                client, folder
            )
        ],
        [5, 7],
        [9, 7],
    ),
    Row("sizes", "Y10", yolo(one(box(0, 0, 9, 9), width=0)), "ZeroDivisionError", {"classes.txt": "cat\n"}),
    Row(
        "attributes",
        "V2",
        voc([{**one()[0], "annotations": [{"type": "bbox", "value": "cat", "points": [1, 2, 3, 4]}]}]),
        "KeyError",
        [[1, 2, 3, 4]],
    ),
    Row(
        "attributes",
        "L2",
        labelme(
            lambda document: document["shapes"][0]["flags"],
            one(box(1, 1, 9, 9, attributes=[{"key": "wet", "name": "wet", "type": "switch", "value": True}])),
        ),
        {},
        {"wet": True},
    ),
    Row("pixels of VOC", "V1", voc(one(box(10.6, 10.6, 20.4, 20.6))), [[10, 10, 20, 20]], [[11, 11, 20, 21]]),
    Row(
        "pictures of labelme",
        "",
        labelme(lambda document: document["imagePath"], one(name="sub/a.jpg")),
        "sub/a.jpg",
        "a.jpg",
    ),
    Row(
        "overlaps",
        "M1",
        mask(one(*(annotation("segmentation", [[square(n, n, n + 40, n + 40)]]) for n in (0, 20)))),
        {0: 5200, 1: 1200, 2: 1200, 3: 400},
        {0: 5200, 1: 1200, 2: 1600},
    ),
    Row(
        "overlaps",
        "M1b",
        mask(
            one(
                *(
                    annotation("segmentation", [[square(n, n, n + 40, n + 40)]], value)
                    for n, value in ((0, "a"), (20, "b"))
                )
            ),
            classes=["a", "b", "c"],
        ),
        {0: 5200, 1: 1200, 2: 1200, 3: 400},
        {0: 5200, 1: 1200, 2: 1600},
    ),
    Row(
        "overlaps",
        "M2",
        mask(one(annotation("segmentation", [[RING]]), box(0, 0, 20, 20))),
        {0: 6400, 1: 1200, 3: 400},
        {0: 6400, 1: 1200, 2: 400},
    ),
    Row("many objects", "M4", lambda client, folder: len(mask(one(*MANY))(client, folder)), 256, 301),
    Row(
        "many objects",
        "M5",
        mask(one(*MANY[:60]), lambda image: image.convert("RGB").getpixel((3 * 29, 3)) != (0, 0, 0)),
        False,
        True,
    ),
    Row(
        "unknown classes",
        "M6",
        mask(one(box(0, 0, 10, 10), box(20, 20, 30, 30, value="dog")), classes=["cat"]),
        "ValueError",
        {0: 7900, 1: 100},
    ),
    Row("drawings of segmentations", "", see_through, True, False),
    Row(
        "COCO read",
        "I1",
        coco_file({"bbox": [1, 2, 8, 6], "segmentation": [square(1, 2, 9, 8)]}, kind="bbox"),
        {"a.jpg": [("polygon", square(1, 2, 9, 8))]},
        {"a.jpg": [("bbox", [1, 2, 9, 8])]},
    ),
    Row(
        "COCO read",
        "I2",
        coco_file({"bbox": [1, 2, 3, 4], "segmentation": []}, kind="bbox"),
        "IndexError",
        {"a.jpg": [("bbox", [1, 2, 4, 6])]},
    ),
    Row(
        "COCO read",
        "I3",
        coco_file({"bbox": [1, 2, 3, 4]}, kind="bbox"),
        "KeyError",
        {"a.jpg": [("bbox", [1, 2, 4, 6])]},
    ),
    Row(
        "COCO read",
        "I4",
        coco_file({"bbox": [0, 0, 2, 1], "segmentation": {"counts": [0, 1, 79, 1, 7919], "size": [80, 100]}}),
        "KeyError",
        {"a.jpg": [("polygon", [0, 0, 2, 0, 2, 1, 0, 1])]},
    ),
    Row(
        "COCO read",
        "I5",
        coco_file({"bbox": [0, 0, 6, 6], "segmentation": [[0, 0, 1, 0, 1, 1], [5, 5, 6, 5, 6, 6]]}),
        {"a.jpg": [("polygon", [0, 0, 1, 0, 1, 1])]},
        {"a.jpg": [("polygon", [0, 0, 1, 0, 1, 1]), ("polygon", [5, 5, 6, 5, 6, 6])]},
    ),
    Row(
        "COCO read",
        "I6",
        coco_file(
            {"bbox": [0, 0, 9, 9], "segmentation": [[1, 2]]},
            {"bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 9, 0, 9, 9]]},
            kind="bbox",
        ),
        "FastLabelInvalidException",
        {"a.jpg": [("bbox", [0, 0, 9, 9]), ("polygon", [0, 0, 9, 0, 9, 9])]},
    ),
    Row(
        "COCO read",
        "I7",
        coco_file({"bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 9, 0, 9, 9]]}, kind="segmentation"),
        "FastLabelInvalidException",
        {"a.jpg": [("segmentation", [[[0, 0, 9, 0, 9, 9, 0, 0]]])]},
    ),
    Row(
        "files read",
        "I8",
        coco_file({"bbox": [0, 0, 9, 9], "segmentation": [[0, 0, 9, 0, 9, 9]], "category_id": 9}),
        "KeyError",
        {"a.jpg": [("polygon", [0, 0, 9, 0, 9, 9])]},
    ),
    Row("files read", "V6", voc_file(), "KeyError", {"a.jpg": []}),
    Row(
        "files read",
        "L3",
        labelme_file(
            {"label": "", "shape_type": "rectangle", "points": [[1, 1], [2, 2]]},
            {"shape_type": "rectangle", "points": [[1, 1], [2, 2]]},
        ),
        "TypeError",
        {"a.jpg": [("bbox", [1, 1, 2, 2])]},
    ),
    *(
        Row("files read", id, yolo_file(text), error, {"a.jpg": [("bbox", [40, 30, 60, 50])]})
        for id, text, error in (
            ("I14", "0 0.5 0.5 0.2 0.25\n\n", "ValueError"),
            ("I15", "0\t0.5\t0.5 0.2  0.25\n", "ValueError"),
            ("", "0 0.5 0.5 0.2 0.25 0.9\n", "ValueError"),
            ("", "0 0.5 0.5 0.2 0.25\nnonsense\n", "ValueError"),
        )
    ),
    Row(
        "files read",
        "I16",
        yolo_file("0 0.5 0.5 0.2 0.25\n0 0 0 0.5 0 0.5 0.5\n"),
        "ValueError",
        {"a.jpg": [("bbox", [40, 30, 60, 50]), ("polygon", [0, 0, 50, 0, 50, 40])]},
    ),
    Row(
        "files read",
        "I12",
        yolo_file("0 0.5 0.5 0.2 0.25\n", **{"data/of-no-picture.txt": "0 0.5 0.5 0.2 0.25\n"}),
        "KeyError",
        {"a.jpg": [("bbox", [40, 30, 60, 50])]},
    ),
    Row(
        "files read",
        "I13",
        yolo_file("0 0.5 0.5 0.2 0.25\n", **{"data/classes.txt": "cat\n"}),
        "ValueError",
        {"a.jpg": [("bbox", [40, 30, 60, 50])]},
    ),
    Row("nothing to read", "", read("labelme", {"data/b.txt": ""}, "{}/data"), {}, "FileNotFoundError"),
    Row(
        "names of pictures",
        "",
        voc_file("<xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>5</ymax>", name="annotations/a.xml"),
        {"annotations/a.jpg": [("bbox", [1, 2, 9, 5])]},
        {"a.jpg": [("bbox", [1, 2, 9, 5])]},
    ),
    Row(
        "VOC read",
        "V4",
        voc_file("<xmin>1</xmin><xmax>9</xmax><ymin>2</ymin><ymax>5</ymax>"),
        {"a.jpg": [("bbox", [1, 9, 2, 5])]},
        {"a.jpg": [("bbox", [1, 2, 9, 5])]},
    ),
    Row(
        "VOC read",
        "V5",
        voc_file("<xmin>1.5</xmin><ymin>2</ymin><xmax>9</xmax><ymax>5</ymax>"),
        "ValueError",
        {"a.jpg": [("bbox", [1.5, 2, 9, 5])]},
    ),
    Row(
        "labelme read",
        "L4",
        labelme_file({"shape_type": "circle", "points": [[10, 10], [13, 14]]}),
        {"a.jpg": [(None, [10, 10, 13, 14])]},
        {"a.jpg": [("circle", [10, 10, 5])]},
    ),
    Row(
        "labelme read",
        "L5",
        labelme_file({"shape_type": "rectangle", "points": [[9, 9], [2, 2]]}),
        {"a.jpg": [("bbox", [9, 9, 2, 2])]},
        {"a.jpg": [("bbox", [2, 2, 9, 9])]},
    ),
    Row(
        "areas of YOLO read",
        "I17",
        yolo_file("0 0.1 0.125 0.2 0.125 0.2 0.25\n", "image_segmentation"),
        "ValueError",
        {"a.jpg": [("segmentation", [[[10, 10, 20, 10, 20, 20, 10, 10]]])]},
    ),
    Row(
        "areas of YOLO read",
        "I18",
        yolo_file("0 0.102 0.125 0.2 0.125 0.2 0.25\n", "segmentation"),
        {"a.jpg": [("segmentation", [[[10, 10, 20, 10, 20, 20]]])]},
        {"a.jpg": [("segmentation", [[[10.2, 10, 20, 10, 20, 20, 10.2, 10]]])]},
    ),
    Row("attributes read", "", attributes_of_voc, [], [{"key": "truncated", "value": True}]),
    Row("corners of masks", "M10", touching, (1, 2), (2, 0)),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.ids or '-'} {row.difference}" for row in ROWS])
def test_what_the_sdk_does_and_what_ours_do(pair: Any, row: Row) -> None:
    place = pair.folder()
    for client, side, expected in ((pair.theirs, "sdk", row.sdk), (pair.ours, "ours", row.ours)):
        try:
            found = row.act(client, place / side)
        except Exception as error:  # noqa: BLE001 - whatever the SDK raises
            found = type(error).__name__
        assert found == expected, side


def test_each_difference_is_shown() -> None:
    shown = {row.difference for row in ROWS}
    assert shown == {difference.key for difference in ON_FILES}
    assert all(one.sdk and one.ours and one.reason for one in ON_FILES)


def test_no_two_rows_are_the_same() -> None:
    ids = [id for row in ROWS for id in row.ids.split()]
    repeated = {id for id, found in itertools.groupby(sorted(ids)) if len(list(found)) > 1}
    assert repeated == {"V1", "L1"}, "turned boxes, fractions and areas; holes and regions"
