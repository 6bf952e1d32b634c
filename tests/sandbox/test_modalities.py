"""What each kind of task accepts and turns down, and how many a page holds."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from fastlabel_dagster.sandbox import Sandbox, SandboxError
from fastlabel_dagster.sandbox.state import SandboxState

Http = Callable[..., requests.Response]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One server for all refusals; what a test makes, it makes in a project of its own."""
    with Sandbox(tmp_path_factory.mktemp("modalities") / "data") as running:
        yield running


_numbers = count()


@pytest.fixture
def made(sandbox: Sandbox) -> Callable[[str], str]:
    def make(type: str) -> str:
        slug = f"p-{next(_numbers)}"
        sandbox.state.create_project(slug, type=type)
        return slug

    return make


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def message(answer: requests.Response) -> str:
    assert answer.status_code == 422, answer.text
    return str(answer.json()["message"])


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("tasks/image/classification", 1000),
        ("tasks/multi-image/classification", 1000),
        ("tasks/sequential-image", 10),
        ("tasks/video", 10),
        ("tasks/video/classification", 1000),
        ("tasks/text", 1000),
        ("tasks/text/classification", 1000),
        ("tasks/audio", 1000),
        ("tasks/audio/classification", 1000),
        ("tasks/multi-modal-video-audio", 10),
        ("tasks/pcd", 1000),
        ("tasks/sequential-pcd", 10),
        ("tasks/dicom", 1000),
        ("tasks/robotics", 100),
        ("tasks/appendix", 10_000),
        ("contents/export/appendix", 10_000),
        ("comments/threads", 1000),
        ("workspaces-users", 1000),
    ],
)
def test_a_page_over_the_maximum_is_a_422(http: Http, made: Callable[[str], str], path: str, most: int) -> None:
    project = made("image_all")
    assert isinstance(http("GET", path, params={"project": project, "limit": most}).json(), list)
    answer = http("GET", path, params={"project": project, "limit": most + 1})
    assert message(answer) == f"Limit must be less than or equal to {most}."


@pytest.mark.parametrize("type", ["video_bbox", "sequential_image_bbox", "sequential_pcd_cuboid", "multi_modal"])
def test_a_page_of_heavy_tasks_is_ten_unless_asked_for_less(
    http: Http, made: Callable[[str], str], sandbox: Sandbox, type: str
) -> None:
    project = made(type)
    sandbox.state.add_tasks(project, [{"name": f"{number}"} for number in range(12)])
    path = {"video_bbox": "video", "multi_modal": "multi-modal-video-audio"}.get(type, type.rpartition("_")[0])
    tasks = http("GET", f"tasks/{path.replace('_', '-')}", params={"project": project}).json()
    assert [task["name"] for task in tasks] == [str(number) for number in range(10)]


@pytest.mark.parametrize(
    ("type", "path", "name", "wrong"),
    [
        ("image_bbox", "image", "a.gif", b"GIF89a"),
        ("video_bbox", "video", "a.mov", b"x"),
        ("video_bbox", "video", "a.mp4", b"no video"),
        ("video_bbox", "video", "a.mp4", b""),
        ("text_ner", "text", "a.csv", b"x"),
        ("text_ner", "text", "a.txt", b"x" * ((2 << 20) + 1)),
        ("audio_segmentation", "audio", "a.ogg", b"x"),
        ("pcd_cuboid", "pcd", "a.las", b"x"),
        ("image_bbox", "pcd", "a.pcd", b"x"),
        ("pcd_cuboid", "sequential-pcd", "a.pcd", b"x"),
    ],
)
def test_a_file_that_does_not_fit_is_a_422(
    http: Http, made: Callable[[str], str], type: str, path: str, name: str, wrong: bytes
) -> None:
    body = {"project": made(type), "name": name, "file": encoded(wrong), "contents": []}
    message(http("POST", f"tasks/{path}", json=body))
    assert http("GET", "tasks/count", params={"project": body["project"]}).json() == 0


def test_a_text_of_exactly_the_limit_is_taken(http: Http, made: Callable[[str], str]) -> None:
    body = {"project": made("text_ner"), "name": "A.TXT", "file": encoded(b"x" * (2 << 20))}
    assert http("POST", "tasks/text", json=body).status_code == 200


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], "contents should not be empty"),
        (["a.jpg", "a.jpg"], "must differ"),
        (["a.jpg", "b.tiff"], "Supported extensions are png, jpg, jpeg, gif."),
        ([f"{number}.jpg" for number in range(7)], "The count of files should be under 6"),
        (["a.jpg", "broken.jpg"], "corrupt"),
    ],
)
def test_contents_that_do_not_fit_are_a_422(
    http: Http, made: Callable[[str], str], picture: Callable[..., str], names: list[str], says: str
) -> None:
    good = encoded(Path(picture()).read_bytes())
    contents = [{"name": name, "file": encoded(b"x") if name == "broken.jpg" else good} for name in names]
    body = {"project": made("multi_image_classification"), "name": "many", "contents": contents}
    assert says in message(http("POST", "tasks/multi-image/classification", json=body))


def test_archives_need_an_upload_and_the_right_project(http: Http, made: Callable[[str], str]) -> None:
    scans, clouds = made("dicom_bbox"), made("pcd_cuboid")
    granted = http("GET", "files", params={"project": scans, "fileName": "a.zip", "fileType": "application/zip"}).json()
    for key in ("uploads/none", granted["name"], 7):
        answer = http("POST", "tasks/dicom", json={"project": scans, "fileKey": key})
        assert message(answer) == "fileKey names no uploaded file"
    assert requests.put(granted["url"], data=b"x", timeout=10).status_code == 200
    for path, project in (
        ("tasks/dicom", clouds),
        ("contents/imports/appendix/batch", scans),
        ("contents/imports/robotics-contents/batch", clouds),
    ):
        message(http("POST", path, json={"project": project, "fileKey": granted["name"]}))


def test_a_form_of_many_pieces_arrives_as_its_file(
    http: Http, made: Callable[[str], str], sandbox: Sandbox, tmp_path: Path
) -> None:
    content = bytes(range(256)) * 20_000 + b"\r\n\r\n--x\r\n"
    (tmp_path / "a.zip").write_bytes(content)
    params = {"project": made("dicom_bbox"), "fileName": "a.zip", "fileType": "application/zip"}
    granted = http("GET", "files", params=params).json()
    with (tmp_path / "a.zip").open("rb") as file:
        assert requests.put(granted["url"], files={"file": file}, timeout=30).status_code == 200
    kept = sandbox.state.files.path(granted["name"])
    assert kept.read_bytes() == content
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for cut in (b"", b"--x\r\nA: b", b"--x\r\n\r\n\r\ncontent", b"--y\r\n\r\ncontent\r\n--y--\r\n"):
        assert requests.put(granted["url"], data=cut, headers=headers, timeout=10).status_code == 400
    assert [path.name for path in kept.parent.iterdir()] == ["a.zip"], "what failed leaves nothing behind"
    assert kept.read_bytes() == content


def test_pictures_for_inference_are_small(http: Http) -> None:
    body = {"modelEndpointName": "any", "file": encoded(bytes((6 << 20) + 1))}
    assert message(http("POST", "model-endpoints/execute", json=body)) == "Supported image size is under 6 MB."


def test_a_folder_of_an_older_version_is_brought_up_to_date(tmp_path: Path) -> None:
    with SandboxState(tmp_path) as state:
        state.create_project("old")
    database = sqlite3.connect(tmp_path / "sandbox.sqlite")
    tables = ("users", "members", "threads", "comments", "appendix", "metadatas", "monitorings")
    for table in tables:
        database.execute(f"DROP TABLE {table}")
    database.execute("DELETE FROM settings WHERE key = 'people'")
    database.execute("PRAGMA user_version = 1")
    database.commit()
    with SandboxState(tmp_path) as state:
        assert state.find_project("old") is not None
        assert len(state.people.listed()) == 6 and state.metadatas.listed() == []
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SandboxError, match="later version"):
        SandboxState(tmp_path)


def test_tasks_of_several_pictures_are_seeded_with_them(
    sandbox: Sandbox, http: Http, made: Callable[[str], str], picture: Callable[..., str]
) -> None:
    project = made("sequential_image_bbox")
    sandbox.state.create_class(project, "bbox", "cat")
    box = {"type": "bbox", "value": "cat", "points": [1, 2, 3, 4], "content": "2.jpg"}
    task = {"name": "walk", "contents": [{"name": "1.jpg"}, {"name": "2.jpg"}], "annotations": [box]}
    images = {"walk/1.jpg": Path(picture("a.jpg")), "walk/2.jpg": Path(picture("b.jpg", width=33)).read_bytes()}
    sandbox.state.add_tasks(project, [task], images)
    (found,) = http("GET", "tasks/sequential-image", params={"project": project}).json()
    assert [(one["name"], one["width"]) for one in found["contents"]] == [("1.jpg", 70), ("2.jpg", 33)]
    assert requests.get(found["contents"][1]["url"], timeout=10).content == images["walk/2.jpg"]


def test_every_kind_can_be_seeded_without_its_files(sandbox: Sandbox, http: Http, made: Callable[[str], str]) -> None:
    from fastlabel_dagster.sandbox.modalities import MODALITIES, modality_of

    for modality in MODALITIES:
        project = made("robotics_task_classification" if modality.name == "robotics" else modality.name)
        assert modality_of(sandbox.state.projects.by_slug(project)["type"]) == modality.name
        (task_id,) = sandbox.state.add_tasks(project, [{"name": "猫", "status": "approved"}])
        (task,) = http("GET", f"tasks/{modality.path}", params={"project": project, "status": "approved"}).json()
        found: dict[str, Any] = http("GET", f"tasks/{modality.path}/{task_id}").json()
        assert task == found and found["id"] == task_id and found[modality.labels] == []
