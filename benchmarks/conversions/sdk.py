"""The official SDK, its public methods unchanged; only the question for the project's type is answered here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.conversions.registry import STEPS, Step, Work


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
STEPS["sdk read labelme"] = _sdk_reads(
    lambda client, source: client.convert_labelme_to_fastlabel(str(source / "images"))
)
