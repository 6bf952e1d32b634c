"""Every picture with its annotations drawn on it, and every frame of a video: for people to look at."""

from fastlabel_dagster.formats.overlays.write import INDEX_FILE, write_overlays
from fastlabel_dagster.formats.registry import Format

FORMAT = Format(
    "overlays",
    "pictures with their annotations drawn",
    index=INDEX_FILE,
    write=write_overlays,
    options={
        "thickness": None,
        "fill": None,
        "names": False,
        "picture_format": "same",
        "quality": 95,
        "video": False,
    },
)
