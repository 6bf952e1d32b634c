"""From the API to a training set: projects that are no single pictures are synced, downloaded and written."""

from __future__ import annotations

import json

import cv2
import pytest

from fastlabel_dagster import formats
from fastlabel_dagster.labels.single_pictures import single_pictures
from fastlabel_dagster.store import ImageFolder, open_store
from fastlabel_dagster.sync import LabelMirror, download_images, sync_project

SLUG = "made-of"
CLIP = {"width": 64, "height": 48, "fps": 10.0, "frameCount": 12, "duration": 1.2}


@pytest.fixture
def fetched(sandbox, client, tmp_path):
    """Makes a project, syncs it and downloads its files; answers labels and image folder."""

    def fetch(kind, tasks, files, *classes, validate=True):
        sandbox.state.create_project(SLUG, type=kind)
        for number, (shape, value) in enumerate(classes):
            sandbox.state.create_class(SLUG, shape, value, order=number + 1)
        sandbox.state.add_tasks(SLUG, tasks, files, validate=validate)
        sync_project(client, SLUG, tmp_path / "store")
        report = download_images(client, SLUG, tmp_path / "store")
        assert (report.downloaded, report.quarantined) == (len(files), [])
        return LabelMirror(tmp_path / "store" / "labels").read(), ImageFolder(open_store(tmp_path / "store/images"))

    return fetch


def coco(folder):
    """What COCO says but for where its labels are from: those that were taken apart by hand have no digest."""
    document = json.loads((folder / "annotations.json").read_bytes())
    return {key: value for key, value in document.items() if key != "info"}


def boxes(document):
    """Where each picture has boxes: file name -> [(class, box)]."""
    names = {image["id"]: image["file_name"] for image in document["images"]}
    classes = {category["id"]: category["name"] for category in document["categories"]}
    found = {name: [] for name in names.values()}
    for each in document["annotations"]:
        found[names[each["image_id"]]].append((classes[each["category_id"]], each["bbox"]))
    return {name: sorted(boxes) for name, boxes in found.items()}


def test_video_project_becomes_coco_of_its_frames(fetched, clip, tmp_path):
    tracks = {"cat": {1: [4, 6, 24, 26], 2: [5, 6, 25, 26], 12: [30, 10, 60, 40]}, "dog": {12: [0, 0, 64, 48]}}
    annotations = [
        {"type": "bbox", "value": value, "points": {str(frame): {"value": box} for frame, box in track.items()}}
        for value, track in tracks.items()
    ]
    tasks = [
        {"name": "walk.mp4", **CLIP, "annotations": annotations},
        {"name": "sub/walk.mp4", **CLIP, "status": "approved", "annotations": annotations[1:]},
    ]
    files = {"walk.mp4": clip(1), "sub/walk.mp4": clip(5)}
    labels, images = fetched("video_bbox", tasks, files, ("bbox", "cat"), ("bbox", "dog"))

    report = formats.write(labels, format="coco", target=tmp_path / "coco", images=images, strict=True)
    formats.write(single_pictures(labels), format="coco", target=tmp_path / "by-hand", images=images)
    assert coco(tmp_path / "coco") == coco(tmp_path / "by-hand")
    assert report.images == 24

    expected = {f"{stem}_{frame - 1:02}.jpg": [] for stem in ("walk", "sub/walk") for frame in range(1, 13)}
    for stem, of_video in (("walk", tracks), ("sub/walk", {"dog": tracks["dog"]})):
        for value, track in of_video.items():
            for frame, (left, top, right, bottom) in track.items():
                expected[f"{stem}_{frame - 1:02}.jpg"].append((value, [left, top, right - left, bottom - top]))
    assert boxes(coco(tmp_path / "coco")) == {name: sorted(found) for name, found in expected.items()}

    for stem in ("walk", "sub/walk"):
        (tmp_path / "source.mp4").write_bytes(files[f"{stem}.mp4"])
        source = cv2.VideoCapture(str(tmp_path / "source.mp4"), cv2.CAP_FFMPEG)
        for frame in range(12):
            ours = cv2.imread(str(tmp_path / "coco" / "images" / f"{stem}_{frame:02}.jpg")).astype(int)
            assert abs(ours - source.read()[1]).max() <= 2, "the same frame, coded as JPEG"
        source.release()


def test_classified_videos_become_frames_too(fetched, clip, tmp_path):
    labels, images = fetched("video_single_classification", [{"name": "a.mp4", **CLIP}], {"a.mp4": clip()})
    assert formats.write(labels, format="yolo", target=tmp_path / "yolo", images=images).images == 12
    assert len(list((tmp_path / "yolo" / "images").rglob("*.jpg"))) == 12


def test_sequential_image_project_becomes_coco_of_its_contents(fetched, picture, tmp_path):
    names = ["01.jpg", "02.jpg", "03.png"]
    tasks, files = [], {}
    for number, task in enumerate(("walk", "ride")):
        box = {"type": "bbox", "value": "cat", "points": [1, 2, 30, 40 + number]}
        tasks.append(
            {
                "name": task,
                "contents": [{"name": name} for name in names],
                "annotations": [{**box, "content": name} for name in names[number:]],
            }
        )
        for index, name in enumerate(names):
            files[f"{task}/{name}"] = picture(10 * number + index, extension=name[-4:])
    labels, images = fetched("sequential_image_bbox", tasks, files, ("bbox", "cat"))

    formats.write(labels, format="coco", target=tmp_path / "coco", images=images, strict=True)
    formats.write(single_pictures(labels), format="coco", target=tmp_path / "by-hand", images=images)
    assert coco(tmp_path / "coco") == coco(tmp_path / "by-hand")
    assert boxes(coco(tmp_path / "coco")) == {
        "walk/01.jpg": [("cat", [1, 2, 29, 38])],
        "walk/02.jpg": [("cat", [1, 2, 29, 38])],
        "walk/03.png": [("cat", [1, 2, 29, 38])],
        "ride/01.jpg": [],
        "ride/02.jpg": [("cat", [1, 2, 29, 39])],
        "ride/03.png": [("cat", [1, 2, 29, 39])],
    }
    written = {name: (tmp_path / "coco" / "images" / name).read_bytes() for name in files}
    assert written == files


def test_contents_of_one_name_stay_apart(fetched, sandbox, client, picture, tmp_path):
    """The service does not promise that contents of a task have different names."""
    names = ["a.jpg", "b.jpg"]
    files = {f"walk/{name}": picture(number) for number, name in enumerate(names)}
    fetched("sequential_image_bbox", [{"name": "walk", "contents": [{"name": n} for n in names]}], files)
    (task,) = client.sequential_image_tasks.iter(SLUG)
    find, pages = client.sequential_image_tasks.find, client.sequential_image_tasks.pages

    def twins(task):
        return {**task, "contents": [{**each, "name": "a.jpg"} for each in task["contents"]]}

    client.sequential_image_tasks.find = lambda task_id: twins(find(task_id))
    client.sequential_image_tasks.pages = lambda *args, **more: (
        [twins(task) for task in page] for page in pages(*args, **more)
    )
    sync_project(client, SLUG, tmp_path / "store")
    assert download_images(client, SLUG, tmp_path / "store").quarantined == []
    labels = LabelMirror(tmp_path / "store" / "labels").read()
    images = ImageFolder(open_store(tmp_path / "store" / "images"))
    assert set(images.files()) == {f"{task['id']}/a.jpg", f"{task['id']}/a.jpg#2"}
    formats.write(labels, format="coco", target=tmp_path / "coco", images=images, strict=True)
    written = {path.read_bytes() for path in (tmp_path / "coco" / "images").rglob("*") if path.is_file()}
    assert written == set(files.values())


def test_text_project_becomes_documents_of_spacy(fetched, tmp_path):
    text = "葵 works at FastLabel in 東京 🗼."
    spans = [("PERSON", "葵"), ("ORG", "FastLabel"), ("GPE", "東京")]
    annotations = [
        {"type": "ner", "value": label, "text": part, "start": text.index(part), "end": text.index(part) + len(part)}
        for label, part in spans
    ]
    tasks = [{"name": "a.txt", "annotations": annotations}, {"name": "b.txt"}]
    files = {"a.txt": text.encode(), "b.txt": "nothing here".encode("utf-8-sig")}
    labels, images = fetched("text_ner", tasks, files, *(("ner", label) for label, _ in spans))

    report = formats.write(labels, format="spacy", target=tmp_path / "spacy", images=images, strict=True)
    assert report.annotations == 3
    (file,) = (tmp_path / "spacy").glob("*.jsonl")
    documents = {document["text"]: document for document in map(json.loads, file.read_text().splitlines())}
    assert set(documents) == {text, "nothing here"}
    found = [(span["label"], text[span["start"] : span["end"]]) for span in documents[text]["spans"]]
    assert sorted(found) == sorted(spans)
    report = formats.write(labels, format="conll", target=tmp_path / "conll", images=images)
    assert not [note for note in report.dropped if "no text" in note.reason]


def test_audio_project_becomes_rttm_with_its_recordings(fetched, tmp_path):
    said = [("alice", 0.25, 1.5), ("bob", 1.5, 4)]
    annotations = [
        {"type": "segmentation", "value": speaker, "start": start, "end": end} for speaker, start, end in said
    ]
    files = {"call.wav": b"RIFF\0\0\0\0WAVEfmt \0", "sub/call.wav": b"RIFF\0\0\0\1WAVEfmt \0"}
    tasks = [{"name": "call.wav", "annotations": annotations}, {"name": "sub/call.wav", "annotations": annotations[:1]}]
    labels, images = fetched("audio_segmentation", tasks, files, ("segmentation", "alice"), ("segmentation", "bob"))
    formats.write(labels, format="rttm", target=tmp_path / "rttm", images=images, strict=True)
    lines = {
        path.relative_to(tmp_path / "rttm").as_posix(): [line.split() for line in path.read_text().splitlines()]
        for path in (tmp_path / "rttm").rglob("call.rttm")
    }
    segments = {
        path: sorted((line[7], float(line[3]), float(line[4])) for line in found) for path, found in lines.items()
    }
    both, one = [("alice", 0.25, 1.25), ("bob", 1.5, 2.5)], [("alice", 0.25, 1.25)]
    assert sorted(segments.values(), key=len) == [one, both]
    held = {path.read_bytes() for path in (tmp_path / "rttm" / "audio").rglob("*.wav")}
    assert held == set(files.values())
