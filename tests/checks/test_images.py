"""Pictures in an image folder: there, readable, and as large as stated."""

from __future__ import annotations

import cv2
import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from fastlabel_dagster.checks import CheckPlan, build_image_checks
from fastlabel_dagster.checks.images import images_result
from fastlabel_dagster.labels import from_fastlabel
from fastlabel_dagster.store import ImageFolder, open_store

KEY = dg.AssetKey("images")
NOISE = np.random.default_rng(1).integers(0, 255, (40, 60, 3), np.uint8)


def encoded(ending, picture=NOISE):
    return cv2.imencode(ending, picture)[1].tobytes()


def folder_of(place, files, **columns):
    folder = ImageFolder(open_store(place))
    for name, data in files.items():
        folder.store.write_bytes(name, data)
    names = list(files)
    table = {"task_id": names, "name": names, "file": names, "bytes": [len(files[name]) for name in names]}
    folder.save(pa.table({**table, **columns}))
    return folder


def look(folder, labels=None, **options):
    setting = CheckPlan.of({"images": options}).get("images")
    result = images_result(setting, KEY, folder, labels)
    rows = (
        [record.data for record in result.metadata["bad_pictures"].records] if "bad_pictures" in result.metadata else []
    )
    return result, {row["file"]: row["problem"] for row in rows}


@pytest.mark.parametrize("decode", [True, False])
def test_good_pictures_of_every_kind_pass(tmp_path, decode):
    files = {f"a{ending}": encoded(ending) for ending in (".jpg", ".png", ".bmp", ".webp", ".tif")}
    files["lossless.webp"] = cv2.imencode(".webp", np.zeros((40, 60, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 101])[
        1
    ].tobytes()
    turned = bytearray(encoded(".jpg"))
    turned[2:2] = b"\xff\xe1\x00\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    files |= {"turned.jpg": bytes(turned), "notes.txt": b"no picture at all"}
    folder = folder_of(tmp_path, files, width=[60] * len(files), height=[40] * len(files))
    result, bad = look(folder, decode=decode)
    assert (result.passed, bad) == (True, {})
    assert (result.metadata["pictures"].value, result.metadata["looked_at"].value) == (7, 7)


def test_what_is_wrong_is_said_of_each(tmp_path):
    names = ["gone.jpg", "short.jpg", "text.jpg", "size.png", "good.png"]
    files = {name: encoded(f".{name[-3:]}") for name in names}
    folder = folder_of(tmp_path, files)
    (tmp_path / "gone.jpg").unlink()
    (tmp_path / "short.jpg").write_bytes(files["short.jpg"][:100])
    (tmp_path / "text.jpg").write_bytes(b"<".ljust(len(files["text.jpg"])))
    tasks = [{"id": name, "name": name, "width": 61 if name == "size.png" else 60, "height": 40} for name in names]
    result, bad = look(folder, from_fastlabel(tasks))
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.ERROR
    assert bad == {
        "gone.jpg": "the file is not there",
        "short.jpg": f"the file has 100 bytes, the index says {len(files['short.jpg']):,}",
        "text.jpg": "the file is text, not a picture",
        "size.png": "the picture is 60x40 pixels, its task says 61x40",
    }
    assert look(folder, from_fastlabel(tasks), at_most=4)[0].passed


def test_a_broken_body_is_seen_only_by_decoding(tmp_path):
    data = bytearray(encoded(".png"))
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    folder = folder_of(tmp_path, {"a.png": bytes(data)})
    assert look(folder)[0].passed
    assert look(folder, decode=True)[1] == {"a.png": "no picture that can be decoded"}


def test_a_sample_is_the_same_every_time(tmp_path):
    small = encoded(".png", NOISE[:2, :2])
    folder = folder_of(tmp_path, {f"{n:02d}.png": small for n in range(30)})
    for file in tmp_path.glob("*.png"):
        file.write_bytes(b"")
    result, bad = look(folder, sample=7)
    assert result.metadata["bad"].value == 7
    assert result.description == "7 of the 7 pictures looked at are bad (there are 30)."
    assert look(folder, sample=7)[1] == bad
    everything, shown = look(folder, sample="all")
    assert (everything.metadata["bad"].value, len(shown)) == (30, 20)


def test_it_can_be_put_on_any_asset(tmp_path):
    folder_of(tmp_path / "images", {"a.png": encoded(".png")})

    @dg.asset
    def mine():
        pass

    definition = build_image_checks("mine", store=tmp_path, checks={"images": {"sample": "all"}})
    result = dg.materialize([mine, definition])
    (found,) = result.get_asset_check_evaluations()
    assert (found.asset_key, found.check_name, found.passed) == (dg.AssetKey("mine"), "images", True)
    empty = build_image_checks("mine", store=tmp_path / "nothing")
    assert not dg.materialize([mine, empty]).get_asset_check_evaluations()[0].passed


def test_an_empty_folder_is_not_said_to_be_in_order(tmp_path):
    folder = ImageFolder(open_store(tmp_path))
    five = from_fastlabel([{"id": str(n), "name": f"{n}.jpg", "width": 9, "height": 9} for n in range(5)])
    result, _ = look(folder, five)
    assert not result.passed
    assert result.severity is dg.AssetCheckSeverity.WARN
    assert "nothing was looked at. There are 5 tasks." in result.description
    assert look(folder, five, blocking=True)[0].severity is dg.AssetCheckSeverity.ERROR
    assert look(folder, from_fastlabel([]))[0].passed, "a project without tasks has no pictures"
    result, _ = look(folder_of(tmp_path / "texts", {"a.txt": b"hello"}), five)
    assert result.passed
    assert "None of the 1 downloaded files is a picture" in result.description


def test_pictures_on_s3_are_looked_at_alike(moto_s3):
    files = {f"{n:02d}.png": encoded(".png") for n in range(12)}
    place = f"s3://{moto_s3.bucket}/images"
    folder = folder_of(place, files)
    assert look(folder, decode=True)[0].passed
    folder.store.delete(["03.png"])
    folder.store.write_bytes("05.png", b"x" * len(files["05.png"]))
    _, bad = look(folder)
    assert bad == {"03.png": "the file is not there", "05.png": "no picture that can be decoded"}
