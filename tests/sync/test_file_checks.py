"""What is looked at in a file before it counts."""

from __future__ import annotations

import io
import zipfile

import pytest

from fastlabel_dagster.api.modalities import AUDIO_TASK, DICOM, MODALITIES, PCD_TASK, ROBOTICS, TEXT_TASK, VIDEO_TASK
from fastlabel_dagster.sync.file_checks import check_for, check_picture
from fastlabel_dagster.sync.pictures import picture_size

GIF = b"GIF89a\x07\0\x05\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\x07\0\x05\0\0\x02\x05\x84\x8f\xa9\xcb\x05\0;"


@pytest.fixture
def looked_at(tmp_path):
    """Width and height of some bytes by the check for a kind of task, or what is wrong with them."""

    def look(modality, data, name="file"):
        path = tmp_path / "staged"
        path.write_bytes(data)
        try:
            return check_for(modality, name)(path)
        except ValueError as error:
            return str(error)

    return look


def test_every_kind_refuses_an_empty_file(looked_at):
    for modality in MODALITIES:
        for name in ("a.mp4", "a.jpg", "a.bin"):
            assert looked_at(modality, b"", name) == "the file is empty"


def test_videos(looked_at, clip):
    good = clip(3)
    assert looked_at(VIDEO_TASK, good) == (64, 48)
    assert looked_at(ROBOTICS, good, "episode/top.mp4") == (64, 48)
    assert looked_at(ROBOTICS, good, "episode/telemetry.bin") == (None, None)
    for cut in range(600, len(good) - 12, 97):
        assert isinstance(looked_at(VIDEO_TASK, good[:cut]), str), cut
    garbage = b"\0" * 4 + bytes(range(1, 200))
    assert looked_at(VIDEO_TASK, garbage) == "no video that can be decoded"
    assert looked_at(VIDEO_TASK, good + b"left by some program, of no use to anybody") == (64, 48)
    assert looked_at(VIDEO_TASK, good + (0).to_bytes(4, "big") + b"free" + b"to the end") == (64, 48)
    long_box = (1).to_bytes(4, "big") + b"free" + (20).to_bytes(8, "big") + b"long"
    assert looked_at(VIDEO_TASK, good + long_box) == (64, 48)
    endless = (1).to_bytes(4, "big") + b"mdat" + (2**63).to_bytes(8, "big")
    assert looked_at(VIDEO_TASK, good + endless) == "the video is cut off"


def test_pictures_by_the_name_where_a_kind_has_no_rule(looked_at, picture):
    assert looked_at(ROBOTICS, picture(), "episode/frame.PNG") == (64, 48)
    assert looked_at(ROBOTICS, b"no picture", "episode/frame.png") == "no picture that can be decoded"


def test_pictures_that_move(tmp_path):
    (tmp_path / "a.gif").write_bytes(GIF)
    assert check_picture(tmp_path / "a.gif") == (7, 5)


def test_pictures_that_move_where_opencv_cannot_read_them(monkeypatch):
    """Before 4.11 it could not."""
    import cv2

    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    assert picture_size(GIF) == (7, 5)
    with pytest.raises(ValueError, match="no picture that can be decoded"):
        picture_size(GIF[:-1])


def test_texts_sounds_clouds_and_zips(looked_at):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("1.dcm", b"\0" * 128 + b"DICM")
    assert looked_at(DICOM, packed.getvalue()) == (None, None)
    assert looked_at(DICOM, packed.getvalue()[:-30]) == "no whole zip file"
    assert looked_at(TEXT_TASK, b"<html> is a text like any other") == (None, None)
    assert looked_at(PCD_TASK, b"# .PCD v0.7 - Point Cloud Data\n") == (None, None)
    assert looked_at(AUDIO_TASK, b"ID3\4\0") == (None, None)
    assert looked_at(AUDIO_TASK, b'{"message": "gone"}') == "the file is text, not sound"
