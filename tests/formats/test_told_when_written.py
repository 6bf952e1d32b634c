"""What an annotation says beside its shape comes back from a format, or its report tells that it was left out."""

import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.formats import registry
from fastlabel_dagster.labels import from_fastlabel, to_fastlabel

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


@pytest.mark.parametrize("format", [one for one in formats.FORMATS if registry.find(one).write and one != "overlays"])
def test_what_a_task_itself_says_comes_back_or_is_told(format, tmp_path):
    said = {"key": "weather", "name": "Weather", "type": "text", "value": "rain"}
    silent = [{"key": "note", "name": "Note", "type": "text", "value": value} for value in ("", None, [])]
    reason = "its task has attributes, for which the format has no place"
    reports = []
    for number, attributes in enumerate([[said, *silent], silent, []]):
        task = {"id": "t", "name": "t.jpg", "width": 64, "height": 48, "attributes": attributes, "annotations": []}
        place = tmp_path / str(number)
        report = formats.write(from_fastlabel([task]), format=format, target=place)
        reports.append([(note.count, note.examples) for note in report.noticed if note.reason == reason])
    if format in ("fastlabel", "parquet"):
        (again,) = to_fastlabel(formats.read(tmp_path / "0", format=format))
        assert again["attributes"][0] == said
        assert reports == [[], [], []]
    else:
        assert reports == [[(1, ("t.jpg",))], [], []]


def test_attributes_of_tasks_that_have_a_place_are_not_told(tmp_path):
    scale = {"key": "gsd", "name": "gsd", "type": "text", "value": "0.15"}
    label = {"key": "weather", "name": "weather", "type": "text", "value": "rain"}
    for number, (format, options, attributes, expected) in enumerate(
        [
            ("dota", {"header": True}, [scale], 0),
            ("dota", {"header": True}, [scale, label], 1),
            ("dota", {}, [scale], 1),
            ("hf_parquet", {"task": "classify", "label": "weather"}, [label], 0),
            ("hf_parquet", {"task": "classify", "label": "weather"}, [scale, label], 1),
            ("hf_imagefolder", {"task": "detect"}, [label], 1),
        ]
    ):
        row = {"id": "a", "type": "classification", "value": "scene", "attributes": attributes}
        task = {"id": "t", "name": "t.jpg", "width": 64, "height": 48, "attributes": attributes, "annotations": [row]}
        report = formats.write(from_fastlabel([task]), format=format, target=tmp_path / str(number), **options)
        told = [note for note in report.noticed if note.reason.startswith("its task has attributes")]
        assert len(told) == expected, (format, options)
