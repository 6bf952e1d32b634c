"""Hold an export against the COCO dataset it came from, with other people's readers: pycocotools and labelformat.

    python scripts/compare_with_original.py DATASET out/coco-mini

DATASET is the original COCO folder, the second argument the project's store with ``coco/`` and ``yolo/`` in it.
Uses nothing of fastlabel_dagster. Exits 1 when an image, category, box, polygon or crowd region differs.
"""

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from labelformat.formats.yolov8 import YOLOv8ObjectDetectionInput
from pycocotools.coco import COCO

BOX_TOLERANCE = 1e-6


def originals(folder: Path) -> list[COCO]:
    return [load(path) for path in sorted(folder.rglob("*.json")) if "annotations" in json.loads(path.read_text())]


def load(path: Path) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        return COCO(str(path))


def by_file(cocos: list[COCO]) -> dict[str, list[tuple[COCO, dict[str, Any]]]]:
    """Annotations by picture name, each with the dataset it belongs to."""
    found: dict[str, list[tuple[COCO, dict[str, Any]]]] = {}
    for coco in cocos:
        for image in coco.dataset["images"]:
            name = image["file_name"].rsplit("/", 1)[-1]
            found.setdefault(name, []).extend((coco, a) for a in coco.imgToAnns[image["id"]])
    return found


def compare_coco(before: list[COCO], after: COCO, problems: list[str]) -> None:
    old_categories = {c["id"]: c["name"] for coco in before for c in coco.dataset["categories"]}
    new_categories = {c["id"]: c["name"] for c in after.dataset["categories"]}
    if old_categories != new_categories:
        problems.append(f"categories differ: {set(old_categories.items()) ^ set(new_categories.items())}")
    old, new = by_file(before), by_file([after])
    if old.keys() != new.keys():
        problems.append(f"images differ: {sorted(old.keys() ^ new.keys())[:5]}")
    boxes = polygons = crowds = 0
    for name in sorted(old.keys() & new.keys()):
        left = list(new[name])
        if len(left) != len(old[name]):
            problems.append(f"{name}: {len(old[name])} annotations before, {len(left)} after")
        for coco, a in old[name]:
            match = nearest(a, left)
            if match is None:
                problems.append(f"{name}: annotation {a['id']} has no counterpart")
                continue
            left.remove(match)
            other = match[1]
            boxes += 1
            if np.abs(np.subtract(a["bbox"], other["bbox"])).max() > BOX_TOLERANCE:
                problems.append(f"{name}: box {a['bbox']} became {other['bbox']}")
            if isinstance(a["segmentation"], list):
                polygons += 1
                if a["segmentation"] != other["segmentation"]:
                    problems.append(f"{name}: polygons of annotation {a['id']} differ")
            else:
                crowds += 1
                if a["iscrowd"] != other["iscrowd"] or not np.array_equal(coco.annToMask(a), after.annToMask(other)):
                    problems.append(f"{name}: crowd region {a['id']} differs")
            if abs(a["area"] - other["area"]) > 1e-3 * max(1.0, a["area"]):
                print(f"  note  {name}: annotation {a['id']} area {a['area']} -> {other['area']}")
    images, kinds = len(after.dataset["images"]), len(new_categories)
    print(
        f"coco  {images} images, {kinds} categories, {boxes} boxes, {polygons} polygon lists, {crowds} crowds compared"
    )
    missing = [i["file_name"] for i in after.dataset["images"] if not picture(i["file_name"]).is_file()]
    if missing:
        problems.append(f"coco: {len(missing)} file_name values lead nowhere, first {missing[0]}")


def picture(file_name: str) -> Path:
    return Path(sys.argv[2]) / "coco" / "images" / file_name


def nearest(a: dict[str, Any], candidates: list[tuple[COCO, dict[str, Any]]]) -> tuple[COCO, dict[str, Any]] | None:
    same = [c for c in candidates if c[1]["category_id"] == a["category_id"]]
    return min(same, key=lambda c: np.abs(np.subtract(a["bbox"], c[1]["bbox"])).sum(), default=None)


def compare_yolo(before: list[COCO], data_yaml: Path, problems: list[str]) -> None:
    old = by_file(before)
    sizes = {i["file_name"].rsplit("/", 1)[-1]: (i["width"], i["height"]) for c in before for i in c.dataset["images"]}
    names = {c["id"]: c["name"] for coco in before for c in coco.dataset["categories"]}
    seen, worst, images = 0, 0.0, 0
    for split in ("train", "val"):
        for label in YOLOv8ObjectDetectionInput(input_file=data_yaml, input_split=split).get_labels():
            images += 1
            name = label.image.filename.rsplit("/", 1)[-1]
            width, height = sizes[name]
            left = [
                (o.category.name, np.array([o.box.xmin, o.box.ymin, o.box.xmax, o.box.ymax])) for o in label.objects
            ]
            for _, a in old[name]:
                x, y, w, h = a["bbox"]
                want = np.array([x, y, x + w, y + h])
                same = [c for c in left if c[0] == names[a["category_id"]]]
                if not same:
                    problems.append(f"yolo {name}: no {names[a['category_id']]} for annotation {a['id']}")
                    continue
                best = min(range(len(same)), key=lambda i: np.abs(same[i][1] - want).sum())
                off = float((np.abs(same[best][1] - want) / [width, height, width, height]).max())
                left = [c for c in left if c is not same[best]]
                worst, seen = max(worst, off), seen + 1
                if off > BOX_TOLERANCE:
                    problems.append(f"yolo {name}: annotation {a['id']} is off by {off:.2e} of the image")
            if left:
                problems.append(f"yolo {name}: {len(left)} boxes too many")
    print(f"yolo  {images} images, {seen} boxes compared through labelformat, worst {worst:.1e} of the image size")
    if images != len(old):
        problems.append(f"yolo: {images} images of {len(old)}")


def main() -> int:
    dataset, store = Path(sys.argv[1]), Path(sys.argv[2])
    before = originals(dataset)
    problems: list[str] = []
    compare_coco(before, load(store / "coco" / "annotations.json"), problems)
    compare_yolo(before, store / "yolo" / "data.yaml", problems)
    for problem in problems[:20]:
        print(f"  DIFFERS  {problem}")
    print("equal" if not problems else f"{len(problems)} differences")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
