"""Other converters, each by its own documented way."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.conversions.registry import Work, step


def _annotations(source: Path) -> Path:
    return source / "annotations.json"


@step("pycocotools read coco")
def _(source: Path, out: Path) -> Work:
    from pycocotools.coco import COCO

    return lambda: _quietly(lambda: COCO(str(_annotations(source))))


@step("faster-coco-eval read coco")
def _(source: Path, out: Path) -> Work:
    from faster_coco_eval import COCO

    return lambda: _quietly(lambda: COCO(str(_annotations(source))))


@step("labelformat read coco")
def _(source: Path, out: Path) -> Work:
    from labelformat.formats import COCOObjectDetectionInput

    return lambda: sum(1 for _ in COCOObjectDetectionInput(_annotations(source)).get_labels())


@step("globox read coco")
def _(source: Path, out: Path) -> Work:
    from globox import AnnotationSet

    return lambda: AnnotationSet.from_coco(_annotations(source))


@step("datumaro read coco")
def _(source: Path, out: Path) -> Work:
    from datumaro import Dataset

    return lambda: len(Dataset.import_from(str(_datumaro_folder(source)), "coco_instances"))


@step("supervision read coco")
def _(source: Path, out: Path) -> Work:
    import supervision

    return lambda: supervision.DetectionDataset.from_coco(
        images_directory_path=str(source / "images"), annotations_path=str(_annotations(source))
    )


@step("labelformat read yolo")
def _(source: Path, out: Path) -> Work:
    from labelformat.formats import YOLOv8ObjectDetectionInput

    return lambda: sum(1 for _ in YOLOv8ObjectDetectionInput(source / "data.yaml", input_split="train").get_labels())


@step("supervision read yolo")
def _(source: Path, out: Path) -> Work:
    import supervision

    return lambda: supervision.DetectionDataset.from_yolo(
        images_directory_path=str(source / "images" / "train"),
        annotations_directory_path=str(source / "labels" / "train"),
        data_yaml_path=str(source / "data.yaml"),
    )


@step("globox read yolo")
def _(source: Path, out: Path) -> Work:
    from globox import AnnotationSet

    return lambda: AnnotationSet.from_yolo_v5(source / "labels" / "train", image_folder=source / "images" / "train")


@step("labelformat read pascal_voc")
def _(source: Path, out: Path) -> Work:
    from labelformat.formats import PascalVOCObjectDetectionInput

    names = ",".join(f"class-{number}" for number in range(10))
    return lambda: sum(
        1 for _ in PascalVOCObjectDetectionInput(source / "Annotations", category_names=names).get_labels()
    )


@step("globox read pascal_voc")
def _(source: Path, out: Path) -> Work:
    from globox import AnnotationSet

    return lambda: AnnotationSet.from_pascal_voc(source / "Annotations")


@step("labelformat coco>yolo")
def _(source: Path, out: Path) -> Work:
    from labelformat.formats import COCOObjectDetectionInput, YOLOv8ObjectDetectionOutput

    return lambda: YOLOv8ObjectDetectionOutput(out / "data.yaml", "train").save(
        COCOObjectDetectionInput(_annotations(source))
    )


@step("labelformat coco>pascal_voc")
def _(source: Path, out: Path) -> Work:
    from labelformat.formats import COCOObjectDetectionInput, PascalVOCObjectDetectionOutput

    return lambda: PascalVOCObjectDetectionOutput(out).save(COCOObjectDetectionInput(_annotations(source)))


@step("globox coco>yolo")
def _(source: Path, out: Path) -> Work:
    from globox import AnnotationSet

    def work() -> None:
        content = AnnotationSet.from_coco(_annotations(source))
        names = {label: number for number, label in enumerate(sorted(content._labels()))}
        content.save_yolo_v5(out, label_to_id=names)

    return work


@step("globox coco>pascal_voc")
def _(source: Path, out: Path) -> Work:
    from globox import AnnotationSet

    return lambda: AnnotationSet.from_coco(_annotations(source)).save_pascal_voc(out)


@step("datumaro coco>yolo")
def _(source: Path, out: Path) -> Work:
    from datumaro import Dataset

    return lambda: Dataset.import_from(str(_datumaro_folder(source)), "coco_instances").export(
        str(out), "yolo", save_media=False
    )


@step("supervision coco>yolo")
def _(source: Path, out: Path) -> Work:
    import supervision

    return lambda: supervision.DetectionDataset.from_coco(
        images_directory_path=str(source / "images"), annotations_path=str(_annotations(source))
    ).as_yolo(annotations_directory_path=str(out / "labels"), data_yaml_path=str(out / "data.yaml"))


@step("supervision coco>pascal_voc")
def _(source: Path, out: Path) -> Work:
    import supervision

    return lambda: supervision.DetectionDataset.from_coco(
        images_directory_path=str(source / "images"), annotations_path=str(_annotations(source))
    ).as_pascal_voc(annotations_directory_path=str(out))


def _datumaro_folder(source: Path) -> Path:
    """datumaro wants ``annotations/instances_train.json`` and an ``images`` folder."""
    place = source.parent / f"{source.name}-as-datumaro-wants-it"
    if not place.exists():
        (place / "annotations").mkdir(parents=True)
        os.link(_annotations(source), place / "annotations" / "instances_train.json")
        (place / "images").symlink_to(source / "images")
    return place


def _quietly(work: Work) -> object:
    with _silence():
        return work()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield
