"""The SDK's names for what works on files: exports of tasks, and datasets as annotations.

Writing formats is not this floor's work; it is done by `fastlabel_dagster.formats`, which lies above and is looked up
by its name when a method is called.
"""

# ruff: noqa: B006 - the signatures are the SDK's
from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fastlabel_dagster.api.errors import Invalid, NotFound
from fastlabel_dagster.api.sdk_names.face import SdkFace
from fastlabel_dagster.api.wire import Jsons

LAYOUT: Final = "fastlabel_dagster.formats.sdk_layout"
MASK: Final = "fastlabel_dagster.labels.masks:mask_to_fastlabel_points"


class ConversionNames(SdkFace):
    """Exports to COCO, YOLO, Pascal VOC, labelme, masks and drawn pictures; COCO, YOLO, Pascal VOC and labelme back.

    Exports return a report: how many annotations were written, which were left out or changed, and why.
    """

    def export_coco(
        self,
        project: str,
        tasks: Jsons,
        annotations: Jsons = [],
        output_dir: str | Path = "output/coco",
        output_file_name: str = "annotations.json",
    ) -> Any:
        """Write tasks as a COCO file, with `annotations` (classes) for keypoints and skeletons.

        Raises:
            Invalid: when the file's name does not end in `.json`.
            NotFound: when there is no such project.
        """
        if not output_file_name.lower().endswith(".json") or Path(output_file_name).name != output_file_name:
            raise Invalid(f"Output file name must have a json extension and no folder, not {output_file_name!r}.")
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
        """Write tasks as YOLO files and `classes.txt`, whose lines are the class numbers in their order.

        Raises:
            NotFound: when there is no such project.
        """
        kind = self._project_type(project)
        return _layout().export_yolo(
            tasks,
            classes,
            output_dir,
            outlines=kind == "image_segmentation",
            video=kind.startswith("video"),
            fetch=self._fetch,
        )

    def export_pascalvoc(self, project: str, tasks: Jsons, output_dir: str | Path = "output/pascalvoc") -> Any:
        """Write tasks as Pascal VOC files.

        Raises:
            NotFound: when there is no such project.
        """
        return _layout().export_pascal_voc(tasks, output_dir, video=self._is_video(project), fetch=self._fetch)

    def export_labelme(self, tasks: Jsons, output_dir: str | Path = "output/labelme") -> Any:
        """Write tasks as labelme files."""
        return _layout().export_labelme(tasks, output_dir)

    def export_instance_segmentation(
        self,
        tasks: Jsons,
        output_dir: str | Path = "output/instance_segmentation",
        pallete: Sequence[int] | None = None,
        start_index: int = 1,
    ) -> Any:
        """Write tasks as PNG files whose pixels are numbers of annotations; `pallete` is red, green, blue by index."""
        return _layout().export_masks(tasks, output_dir, instances=True, palette=pallete, start_index=start_index)

    def export_semantic_segmentation(
        self,
        tasks: Jsons,
        output_dir: str | Path = "output/semantic_segmentation",
        pallete: Sequence[int] | None = None,
        classes: Sequence[str] = [],
        start_index: int = 1,
    ) -> Any:
        """Write tasks as PNG files whose pixels are numbers of classes, in the order of `classes`."""
        return _layout().export_masks(
            tasks, output_dir, instances=False, palette=pallete, classes=classes, start_index=start_index
        )

    def export_image_with_annotations(
        self,
        tasks: Jsons,
        image_dir: str | Path,
        output_dir: str | Path = "output/images_with_annotations",
    ) -> Any:
        """Draw the annotations of tasks on their pictures, found in `image_dir` by the tasks' names."""
        return _layout().export_drawn(tasks, image_dir, output_dir)

    def convert_coco_to_fastlabel(self, file_path: str | Path, annotation_type: str) -> Any:
        """The annotations of a COCO file by picture; `annotation_type` is bbox, polygon, segmentation or
        pose_estimation."""
        try:
            return _layout().annotations_of_coco(file_path, annotation_type)
        except ValueError as error:
            raise Invalid(str(error)) from error

    def convert_labelme_to_fastlabel(self, folder_path: str | Path) -> Any:
        """The annotations of the labelme files below a folder, by picture."""
        return _layout().annotations_of_labelme(folder_path)

    def convert_pascalvoc_to_fastlabel(self, folder_path: str | Path) -> Any:
        """The annotations of the Pascal VOC files below a folder, by picture."""
        return _layout().annotations_of_pascal_voc(folder_path)

    def convert_yolo_to_fastlabel(
        self, classes_file_path: str | Path, dataset_folder_path: str | Path, project_type: str
    ) -> Any:
        """The annotations of the YOLO files below a folder, by picture; outlines for `project_type` segmentation (or
        image_segmentation), else boxes."""
        outlines = project_type in ("segmentation", "image_segmentation")
        return _layout().annotations_of_yolo(classes_file_path, dataset_folder_path, outlines=outlines)

    def mask_to_fastlabel_segmentation_points(self, mask_image: Any) -> Any:
        """The outlines of a mask (a file, or an array whose pixels are not 0 where it is) as the points of a
        segmentation."""
        return pkgutil.resolve_name(MASK)(mask_image)

    def _project_type(self, project: str) -> str:
        found = self._get("projects", {"slug": project}) if project else None
        if not found:
            raise NotFound(f"there is no project {project!r}; check its slug")
        return str(found[0].get("type", ""))

    def _is_video(self, project: str) -> bool:
        return self._project_type(project).startswith("video")

    def _fetch(self, url: str, path: Path) -> None:
        with path.open("wb") as file:
            self.download(url, file.write)  # type: ignore[attr-defined] # of the client this is a part of


def _layout() -> Any:
    return pkgutil.resolve_name(LAYOUT)
