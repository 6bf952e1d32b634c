"""What the official SDK's ``export_*`` and ``convert_*`` methods give, made by the formats of this package.

The client's methods of those names call these. Files lie where the SDK puts them and are called what it calls them;
what is in them is what our writers write, so its defects are not in them. docs/formats.md lists the differences.
"""

from fastlabel_dagster.formats.sdk_layout.conversions import (
    COCO_TYPES,
    annotations_of_coco,
    annotations_of_labelme,
    annotations_of_pascal_voc,
    annotations_of_yolo,
)
from fastlabel_dagster.formats.sdk_layout.exports import (
    export_coco,
    export_drawn,
    export_labelme,
    export_masks,
    export_pascal_voc,
    export_yolo,
)

__all__ = [
    "COCO_TYPES",
    "annotations_of_coco",
    "annotations_of_labelme",
    "annotations_of_pascal_voc",
    "annotations_of_yolo",
    "export_coco",
    "export_drawn",
    "export_labelme",
    "export_masks",
    "export_pascal_voc",
    "export_yolo",
]
