"""What an annotation says beside its shape comes back from a format, or its report tells that it was left out."""

import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.formats import registry
from fastlabel_dagster.labels import from_fastlabel

SHAPE = {"id": "a", "type": "bbox", "value": "car", "title": "Car", "color": "#ff0000", "points": [4, 4, 40, 30]}
SAYING = {
    "attributes": {"attributes": [{"key": "colour", "name": "Colour", "type": "text", "value": "red"}]},
    "confidence": {"confidenceScore": 0.75},
}
WRITTEN = [
    one.name for one in map(registry.find, formats.FORMATS) if one.per_picture and one.write and one.name != "overlays"
]


def written(format, tmp_path, **said):
    task = {"id": "t", "name": "t.jpg", "width": 64, "height": 48, "annotations": [{**SHAPE, **said}]}
    report = formats.write(from_fastlabel([task]), format=format, target=tmp_path / format)
    assert report.written
    return {note.reason for note in [*report.dropped, *report.altered]}


@pytest.mark.parametrize("what", SAYING)
@pytest.mark.parametrize("format", WRITTEN)
def test_it_comes_back_or_is_told(format, what, tmp_path):
    told = [reason for reason in written(format, tmp_path, **SAYING[what]) if what in reason]
    assert not [reason for reason in written(format, tmp_path) if what in reason], "told of what is not there"
    if registry.find(format).read is None:
        assert told
        return
    written(format, tmp_path, **SAYING[what])
    came = False  # YOLO's are not even read without a picture that knows its size
    for row in formats.read(tmp_path / format, format=format).annotations.to_pylist():
        if what == "confidence":
            came = row["confidence_score"] == 0.75
        else:
            came = ("colour", "red") in {(each["key"], each["value"]) for each in row["attributes"] or []}
    assert came != bool(told)
