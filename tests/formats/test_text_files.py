"""Text in another encoding than UTF-8: it is never taken for names, and never replaced without a word."""

from pathlib import Path

import pytest

from fastlabel_dagster import formats

VOC = "<annotation><filename>a.jpg</filename><object><name>x</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>2</xmax>"
VOC += "<ymax>2</ymax></bndbox></object></annotation>"
LABELME = '{"shapes": [], "imagePath": "a.jpg", "imageData": null, "imageHeight": 8, "imageWidth": 8}'


@pytest.mark.parametrize(
    ("format", "names", "content", "other"),
    [
        ("yolo", "classes.txt", "dog\n猫\n", {"a.txt": "0 0.5 0.5 0.5 0.5"}),
        ("yolo", "data.yaml", "train: images\nnames: [猫]\n", {"labels/a.txt": ""}),
        ("labelme", "labels.txt", "dog\n猫\n", {"a.json": LABELME}),
        ("pascal_voc", "labelmap.txt", "dog:1,2,3::\n猫:1,2,4::\n", {"a.xml": VOC}),
        ("semantic_masks", "classes.txt", "dog\n猫\n", {"masks/a.png": ""}),
    ],
)
def test_names_in_an_unknown_encoding_are_refused(
    tmp_path: Path, format: str, names: str, content: str, other: dict[str, str]
) -> None:
    (tmp_path / "images").mkdir()
    for place, text in other.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(text)
    (tmp_path / names).write_bytes(content.encode("cp932"))

    with pytest.raises(formats.FormatError, match=r"line 2: it is not UTF-8.*save it as UTF-8") as raised:
        formats.read(tmp_path, format=format)

    assert raised.value.path == str(tmp_path / names)
    assert str(raised.value).count("it is not UTF-8") == 1


@pytest.mark.parametrize(
    ("format", "file", "line"),
    [
        ("kitti", "label_2/a.txt", "猫 0 0 0 1 2 3 4 1 1 1 1 1 1 1\n"),
        ("dota", "labelTxt/a.txt", "1 1 5 1 5 5 1 5 猫 0\n"),
    ],
)
def test_lines_in_an_unknown_encoding_are_told(tmp_path: Path, format: str, file: str, line: str) -> None:
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_bytes(line.encode("cp932"))

    report = formats.read(tmp_path, format=format).report

    assert [(note.reason, note.count, note.examples) for note in report.altered] == [
        ("bytes that are no text were replaced", 1, (file,))
    ]
