"""The SDK's names for what works on files: exports of tasks, and datasets as annotations.

Writing formats is not this floor's work; it is done by `fastlabel_dagster.formats`, which lies above and is looked up
by its name when a method is called. What it does otherwise than the SDK is listed in `differences.py`.
"""

# ruff: noqa: B006 - the signatures are the SDK's
from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fastlabel_dagster.api.errors import Invalid, NotFound
from fastlabel_dagster.api.sdk_names.face import SdkFace, first_of
from fastlabel_dagster.api.wire import Jsons

LAYOUT: Final = "fastlabel_dagster.formats.sdk_layout"
MASK: Final = "fastlabel_dagster.labels.masks:mask_to_fastlabel_points"


class ConversionNames(SdkFace):
    """Exports to COCO, YOLO, Pascal VOC, labelme, masks and drawn pictures; COCO, YOLO, Pascal VOC and labelme back.

    Exports answer a report (`fastlabel_dagster.formats.ExportReport`, where the SDK answers None): how many annotations
    were written, which were left out or changed, and why. `print(report)` says it in a sentence each. The tasks stay as
    they are. A folder that is there stays with all that is in it; files of the same names are replaced, each at once.

    Files are called as tasks are, in folders of the same names. No name leads out of the folder, and where two tasks
    would share a file, one of them is given another name.
    """

    def export_coco(
        self,
        project: str,
        tasks: Jsons,
        annotations: Jsons = [],
        output_dir: str | Path = "output/coco",
        output_file_name: str = "annotations.json",
    ) -> Any:
        """Write tasks as a COCO file.

        ```python
        tasks = client.get_image_tasks("zoo", status="approved", limit=1000)
        report = client.export_coco("zoo", tasks, client.get_annotations("zoo", limit=1000), "zoo/coco")
        print(report.written, report.dropped_count)
        ```

        Args:
            project: its slug; the type of the project says whether tasks are videos. The frames of videos are cut out
                into `images/` beside the file, so each video is downloaded, without the token.
            tasks: as the API answers them.
            annotations: annotation classes as `get_annotations` answers them: they give categories their order, their
                colours, and poses their keypoints and skeleton. Without them categories are those the tasks use, in
                the order of their values, with the keypoints of the first pose of each.
            output_dir: where the file goes.
            output_file_name: what it is called.

        Raises:
            Invalid: when the file's name does not end in `.json`, or is a path.
            NotFound: when there is no such project.
        """
        if not output_file_name.lower().endswith(".json") or {"/", "\\"} & set(output_file_name):
            raise Invalid(
                f"Output file name must have a json extension and no folder, not {output_file_name!r}.", status=422
            )
        return _layout().export_coco(
            tasks, annotations, output_dir, output_file_name, video=self._is_video(project), fetch=self._fetch
        )

    def export_yolo(
        self,
        project: str,
        tasks: Jsons,
        classes: Sequence[str] = [],
        output_dir: str | Path = "output/yolo",
    ) -> Any:
        """Write tasks as YOLO files: `annotations/<name>.txt`, and `classes.txt`, whose lines are the class numbers.

        ```python
        report = client.export_yolo("zoo", tasks, ["cat", "dog"], "zoo/yolo")
        report.dropped  # annotations of other classes, lines, keypoints, …
        ```

        Args:
            project: its slug; the type says whether tasks are videos, and whether annotations are areas.
            tasks: as the API answers them.
            classes: the values of the classes in the order of their numbers; others are left out. Outlines are written
                as outlines then. Without them, classes are those the tasks use, sorted by value, and boxes are written,
                but in an `image_segmentation` project, where it is outlines.
            output_dir: where the files go.

        Raises:
            NotFound: when there is no such project.
        """
        kind = self._project_type(project)
        return _layout().export_yolo(
            tasks,
            classes,
            output_dir,
            outlines=kind == "image_segmentation",
            video=_is_of_videos(kind),
            fetch=self._fetch,
        )

    def export_pascalvoc(self, project: str, tasks: Jsons, output_dir: str | Path = "output/pascalvoc") -> Any:
        """Write tasks as Pascal VOC files, `annotations/<name>.xml`.

        ```python
        client.export_pascalvoc("zoo", tasks, "zoo/voc")
        ```

        The switches `truncated`, `occluded` and `difficult` of an annotation become its flags.

        Raises:
            NotFound: when there is no such project.
        """
        return _layout().export_pascal_voc(tasks, output_dir, video=self._is_video(project), fetch=self._fetch)

    def export_labelme(self, tasks: Jsons, output_dir: str | Path = "output/labelme") -> Any:
        """Write tasks as labelme files, `<name>.json` each.

        ```python
        client.export_labelme(tasks, "zoo/labelme")
        ```
        """
        return _layout().export_labelme(tasks, output_dir)

    def export_instance_segmentation(
        self,
        tasks: Jsons,
        output_dir: str | Path = "output/instance_segmentation",
        pallete: Sequence[int] | None = None,
        start_index: int = 1,
    ) -> Any:
        """Write tasks as PNG files whose pixels are numbers of annotations, `<name>.png` each.

        ```python
        client.export_instance_segmentation(tasks, "zoo/instances")
        ```

        Args:
            tasks: as the API answers them; boxes, polygons and segmentations are painted in their order.
            output_dir: where the files go.
            pallete: red, green, blue of index 0, 1, … in one list; None for the SDK's `COLOR_PALETTE`. Indices that it
                does not reach are given colours of their own.
            start_index: the number of the first annotation; 0 leaves none for the background.
        """
        return _layout().export_masks(tasks, output_dir, instances=True, palette=pallete, start_index=start_index)

    def export_semantic_segmentation(
        self,
        tasks: Jsons,
        output_dir: str | Path = "output/semantic_segmentation",
        pallete: Sequence[int] | None = None,
        classes: Sequence[str] = [],
        start_index: int = 1,
    ) -> Any:
        """Write tasks as PNG files whose pixels are numbers of classes, `<name>.png` each.

        ```python
        client.export_semantic_segmentation(tasks, "zoo/semantic", classes=["sky", "sea"])  # sky 1, sea 2
        ```

        Args:
            tasks: as the API answers them.
            output_dir: where the files go.
            pallete: as of `export_instance_segmentation`.
            classes: the values of the classes in the order of their numbers; others are left out. Without them, classes
                are those the tasks use, sorted by value.
            start_index: the number of the first class.
        """
        return _layout().export_masks(
            tasks, output_dir, instances=False, palette=pallete, classes=classes, start_index=start_index
        )

    def export_image_with_annotations(
        self,
        tasks: Jsons,
        image_dir: str | Path,
        output_dir: str | Path = "output/images_with_annotations",
    ) -> Any:
        """Draw the annotations of tasks on their pictures, found in `image_dir` under the tasks' names.

        ```python
        client.export_image_with_annotations(tasks, "zoo/pictures", "zoo/drawn")
        ```
        """
        return _layout().export_drawn(tasks, image_dir, output_dir)

    def convert_coco_to_fastlabel(self, file_path: str | Path, annotation_type: str) -> Any:
        """The annotations of a COCO file by picture.

        ```python
        for name, annotations in client.convert_coco_to_fastlabel("coco/annotations.json", "bbox").items():
            client.create_image_task("zoo", name, f"coco/{name}", annotations=annotations)
        ```

        Args:
            file_path: the JSON file.
            annotation_type: `bbox` takes upright rectangles for boxes and leaves other outlines as they are; `polygon`
                makes a polygon of each outline; `segmentation` makes regions of them; `pose_estimation` takes the
                keypoints, and what has some.

        Raises:
            Invalid: for another type.
            FileNotFoundError: when there is no such file.
            ValueError: when it is not COCO (`fastlabel_dagster.formats.FormatError`, which names the place).
        """
        types = _layout().COCO_TYPES
        if annotation_type not in types:
            raise Invalid(f"Annotation type must be one of {', '.join(types)}, not {annotation_type!r}.", status=422)
        return _layout().annotations_of_coco(file_path, annotation_type)

    def convert_labelme_to_fastlabel(self, folder_path: str | Path) -> Any:
        """The annotations of the labelme files below a folder, by picture.

        ```python
        client.convert_labelme_to_fastlabel("labelme")  # {"sub/a.jpg": [{"type": "bbox", "value": "cat", …}]}
        ```

        Flags and descriptions are `attributes`, which the API takes where the class declares them.
        """
        return _layout().annotations_of_labelme(folder_path)

    def convert_pascalvoc_to_fastlabel(self, folder_path: str | Path) -> Any:
        """The annotations of the Pascal VOC files below a folder, by picture.

        ```python
        client.convert_pascalvoc_to_fastlabel("voc")  # {"sub/a.jpg": [{"type": "bbox", "value": "cat", …}]}
        ```

        `truncated`, `occluded`, `difficult` and `pose` are `attributes`, which the API takes where the class declares
        them.
        """
        return _layout().annotations_of_pascal_voc(folder_path)

    def convert_yolo_to_fastlabel(
        self, classes_file_path: str | Path, dataset_folder_path: str | Path, project_type: str
    ) -> Any:
        """The annotations of the YOLO files below a folder, by picture.

        ```python
        client.convert_yolo_to_fastlabel("yolo/classes.txt", "yolo", "bbox")
        ```

        Args:
            classes_file_path: a file with the value of a class on each line.
            dataset_folder_path: the label files, each with its picture beside it.
            project_type: `segmentation` (or `image_segmentation`) makes segmentations of outlines; otherwise they
                are polygons.

        Raises:
            FileNotFoundError: when there is no such file, or nothing to read.
        """
        outlines = project_type in ("segmentation", "image_segmentation")
        return _layout().annotations_of_yolo(classes_file_path, dataset_folder_path, outlines=outlines)

    def mask_to_fastlabel_segmentation_points(self, mask_image: Any) -> Any:
        """The outlines of a mask as the `points` of a segmentation: region, ring, x and y in turn.

        ```python
        points = client.mask_to_fastlabel_segmentation_points("mask.png")
        annotation = {"type": "segmentation", "value": "sky", "points": points}
        ```

        Args:
            mask_image: the path of a picture, or an array; what is not 0 belongs to the mask.

        Raises:
            FileNotFoundError, ValueError: when there is no such picture, or it is none.
        """
        return pkgutil.resolve_name(MASK)(mask_image)

    def _project_type(self, project: str) -> str:
        found = first_of(self._get("projects", {"slug": project, "limit": 100})) if project else None
        if found is None:
            raise NotFound(f"there is no project {project!r}; check its slug")
        return str(found.get("type", ""))

    def _is_video(self, project: str) -> bool:
        return _is_of_videos(self._project_type(project))

    def _fetch(self, url: str, path: Path) -> None:
        with path.open("wb") as file:
            self.download(url, file.write)  # type: ignore[attr-defined] # of the client this is a part of


def _is_of_videos(project_type: str) -> bool:
    return project_type.startswith("video_")


def _layout() -> Any:
    return pkgutil.resolve_name(LAYOUT)
