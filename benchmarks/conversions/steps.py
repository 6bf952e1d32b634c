"""What is measured: ``step(input, out)`` prepares and hands back the work that is timed.

Run in a process of its own by ``python -m benchmarks.conversions.step``; other converters run it in their own
environment, where this package is not installed, so nothing of it is imported outside the functions that need it.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

Work: TypeAlias = Callable[[], object]
Step: TypeAlias = Callable[[Path, Path], Work]
STEPS: dict[str, Step] = {}
_FOLDER_OF_STEP = {"coco": "coco", "yolo": "yolo", "pascal_voc": "pascal_voc", "labelme": "labelme"}


def step(name: str) -> Callable[[Step], Step]:
    def note(function: Step) -> Step:
        STEPS[name] = function
        return function

    return note


# ---- ours


def _ours(format: str, **options: Any) -> Step:
    """FastLabel's JSON on disk -> a dataset on disk."""

    def prepare(source: Path, out: Path) -> Work:
        from fastlabel_dagster import formats

        return lambda: formats.write(
            formats.read(source, format="fastlabel"), format=format, target=out, pictures=False, **options
        )

    return prepare


def _from_mirror(format: str, **options: Any) -> Step:
    """The mirror of the same labels -> a dataset on disk."""

    def prepare(source: Path, out: Path) -> Work:
        from fastlabel_dagster import LabelMirror, formats

        mirror = LabelMirror(source / "mirror")
        return lambda: formats.write(mirror.read(), format=format, target=out, pictures=False, **options)

    return prepare


def _ours_reads(format: str, **options: Any) -> Step:
    def prepare(source: Path, out: Path) -> Work:
        from fastlabel_dagster import formats

        return lambda: formats.read(source, format=format, **options).tasks.num_rows

    return prepare


def _ours_converts(before: str, after: str, **options: Any) -> Step:
    def prepare(source: Path, out: Path) -> Work:
        from fastlabel_dagster import formats

        return lambda: formats.write(
            formats.read(source, format=before), format=after, target=out, pictures=False, **options
        )

    return prepare


for _name, _options in (
    ("coco", {}),
    ("yolo", {"split": None}),
    ("yolo-segment", {"split": None, "task": "segment"}),
    ("yolo-pose", {"split": None, "task": "pose"}),
    ("pascal_voc", {}),
    ("labelme", {}),
    ("semantic_masks", {}),
    ("instance_masks", {}),
):
    STEPS[f"ours {_name}"] = _ours(_name.partition("-")[0], **_options)
    STEPS[f"mirror {_name}"] = _from_mirror(_name.partition("-")[0], **_options)
for _name in ("coco", "yolo", "pascal_voc", "labelme"):
    STEPS[f"ours read {_name}"] = _ours_reads(_name)
STEPS["ours coco>yolo"] = _ours_converts("coco", "yolo", split=None)
STEPS["ours coco>pascal_voc"] = _ours_converts("coco", "pascal_voc")


# ---- the official SDK, its public methods unchanged; only the question for the project's type is answered here


def _sdk(prepare: Callable[[Any, list[dict[str, Any]], list[dict[str, Any]], str], object]) -> Step:
    def begin(source: Path, out: Path) -> Work:
        import json

        import fastlabel

        client = fastlabel.Client(access_token="no-token-needed")
        client.find_project_by_slug = lambda slug: {"type": "image_bbox", "slug": slug}
        classes = json.loads((source / "classes.json").read_text()) if (source / "classes.json").exists() else []

        def work() -> object:
            with (source / "tasks.json").open() as file:
                return prepare(client, json.load(file), classes, str(out))

        return work

    return begin


STEPS["sdk coco"] = _sdk(lambda client, tasks, classes, out: client.export_coco("bench", tasks, output_dir=out))
STEPS["sdk coco-pose"] = _sdk(
    lambda client, tasks, classes, out: client.export_coco("bench", tasks, annotations=classes, output_dir=out)
)
STEPS["sdk yolo"] = _sdk(
    lambda client, tasks, classes, out: client.export_yolo(
        "bench", tasks, classes=sorted(row["value"] for row in classes), output_dir=out
    )
)
STEPS["sdk yolo-without-classes"] = _sdk(
    lambda client, tasks, classes, out: client.export_yolo("bench", tasks, output_dir=out)
)
STEPS["sdk pascal_voc"] = _sdk(
    lambda client, tasks, classes, out: client.export_pascalvoc("bench", tasks, output_dir=out)
)
STEPS["sdk labelme"] = _sdk(lambda client, tasks, classes, out: client.export_labelme(tasks, output_dir=out))
STEPS["sdk semantic_masks"] = _sdk(
    lambda client, tasks, classes, out: client.export_semantic_segmentation(tasks, output_dir=out)
)
STEPS["sdk instance_masks"] = _sdk(
    lambda client, tasks, classes, out: client.export_instance_segmentation(tasks, output_dir=out)
)


def _sdk_reads(prepare: Callable[[Any, Path], object]) -> Step:
    def begin(source: Path, out: Path) -> Work:
        import fastlabel

        client = fastlabel.Client(access_token="no-token-needed")
        return lambda: prepare(client, source)

    return begin


STEPS["sdk read coco"] = _sdk_reads(
    lambda client, source: client.convert_coco_to_fastlabel(str(source / "annotations.json"), "polygon")
)
STEPS["sdk read yolo"] = _sdk_reads(
    lambda client, source: client.convert_yolo_to_fastlabel(
        str(source / "classes.txt"), str(source / "train"), "image_bbox"
    )
)
STEPS["sdk read pascal_voc"] = _sdk_reads(
    lambda client, source: client.convert_pascalvoc_to_fastlabel(str(source / "Annotations"))
)
STEPS["sdk read labelme"] = _sdk_reads(lambda client, source: client.convert_labelme_to_fastlabel(str(source)))


# ---- other converters, each by its own documented way


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


# ---- the physical limits


@step("limit coco")
def _(source: Path, out: Path) -> Work:
    """orjson reads the FastLabel JSON and writes the COCO document; nobody converts anything."""
    import orjson

    document = orjson.loads(_annotations(_beside(source, "coco")).read_bytes())

    def work() -> None:
        orjson.loads((source / "tasks.json").read_bytes())
        out.mkdir()
        (out / "annotations.json").write_bytes(orjson.dumps(document))

    return work


@step("paused coco")
def _(source: Path, out: Path) -> Work:
    """The same without Python's search for garbage, which takes most of orjson's time on many small objects."""
    import gc

    work = STEPS["limit coco"](source, out)

    def paused() -> None:
        gc.disable()
        work()
        gc.enable()

    return paused


@step("limit read coco")
def _(source: Path, out: Path) -> Work:
    """orjson reads the file."""
    import orjson

    return lambda: orjson.loads(_annotations(source).read_bytes())


def _limit_files(format: str) -> Step:
    """The same files, their bytes at hand, written one by one."""

    def prepare(source: Path, out: Path) -> Work:
        place = _beside(source, format)
        found = [(path.relative_to(place), path.read_bytes()) for path in sorted(place.rglob("*")) if path.is_file()]

        def work() -> None:
            for folder in sorted({path.parent for path, _ in found}):
                (out / folder).mkdir(parents=True, exist_ok=True)
            for path, content in found:
                (out / path).write_bytes(content)

        return work

    return prepare


for _format in ("yolo", "pascal_voc", "labelme"):
    STEPS[f"limit {_format}"] = _limit_files(_format)


@step("limit masks")
def _(source: Path, out: Path) -> Work:
    """OpenCV fills the outlines (not exactly: it paints the borders too) and encodes a grey PNG."""
    import cv2
    import numpy as np
    import orjson

    tasks = orjson.loads((source / "tasks.json").read_bytes())
    prepared = [
        [
            [np.array(ring, np.int32).reshape(-1, 2) for region in row["points"] for ring in region]
            for row in task["annotations"]
        ]
        for task in tasks
    ]

    def work() -> None:
        out.mkdir()
        for number, (task, shapes) in enumerate(zip(tasks, prepared, strict=True)):
            image = np.zeros((task["height"], task["width"]), np.uint8)
            for index, rings in enumerate(shapes, start=1):
                cv2.fillPoly(image, rings, index)
            (out / f"{number:06}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())

    return work


def _beside(source: Path, format: str) -> Path:
    """The dataset our own writer made of this input."""
    return source.parent / f"{source.name}-{format}"


def _quietly(work: Work) -> object:
    with _silence():
        return work()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()):
        yield
