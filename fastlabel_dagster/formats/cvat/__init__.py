"""CVAT for images 1.1: ``annotations.xml`` and ``images/``; "CVAT for video" is read as well."""

from fastlabel_dagster.formats.cvat.read import read_cvat
from fastlabel_dagster.formats.cvat.write import XML_FILE, write_cvat
from fastlabel_dagster.formats.registry import Format

FORMAT = Format(
    name="cvat",
    summary="CVAT for images 1.1",
    index=XML_FILE,
    rules=3,
    write=write_cvat,
    read=read_cvat,
    options={"split": None},
)
