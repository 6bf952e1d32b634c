"""Each intended difference from the official SDK, shown on both sides: what the SDK does, and what we do instead.

A difference without a test here fails, and so does a test without a difference.
"""

from __future__ import annotations

import copy
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, FastLabelError, Invalid, NotFound, ServerError, Unauthorized
from fastlabel_dagster.api.sdk_names.differences import BETTER_WORDS, DIFFERENCES


@pytest.fixture(scope="module")
def sdk_module() -> Any:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    module = pytest.importorskip("fastlabel")
    root.handlers[:], root.level = handlers, level
    return module


@pytest.fixture
def sdk(server: Any, token: str, monkeypatch: Any, sdk_module: Any) -> Any:
    monkeypatch.setenv("FASTLABEL_API_URL", server.url)
    return sdk_module.Client(access_token=token)


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    return str(path)


def test_arguments_stay(sdk: Any, client: Any, text: str) -> None:
    annotations = [{"id": "a", "type": "ner", "title": "T", "start": 0, "end": 1}]
    before = copy.deepcopy(annotations)
    client.create_text_task("p", "n", text, annotations=annotations)
    assert annotations == before
    sdk.create_text_task("p", "n", text, annotations=annotations)
    assert annotations != before


def test_ids_are_encoded(sdk: Any, client: Any, server: Any) -> None:
    for name in ("find_video_task", "find_robotics_task", "find_project", "find_history", "find_annotation"):
        server.seen.clear()
        getattr(sdk, name)("a/b?c")
        getattr(client, name)("a/b?c")
        assert server.seen[0].path.endswith("/a/b")
        assert server.seen[1].path.endswith("/a%2Fb%3Fc")


def test_empty_ids(sdk: Any, client: Any, server: Any) -> None:
    sdk.delete_task("")
    assert server.lines() == ["DELETE /v1/tasks/"]
    server.seen.clear()
    methods = [name for name in dir(type(client)) if re.match(r"(find|delete|update)_(?!.*_by_)", name)]
    refused = 0
    for name in methods:
        parameters = [p for p in getattr(sdk, name).__annotations__ if re.search(r"(^|_)id$", p)]
        if not parameters or "dataset_object" in name:
            continue
        required = {"attributes": [], "text": "x", **{f"external_code_{n}": "" for n in (1, 2, 3)}}
        rest = {key: value for key, value in required.items() if key in getattr(sdk, name).__annotations__}
        for bad in ("", " ", ".", ".."):
            with pytest.raises(Invalid):
                getattr(client, name)(**{parameters[0]: bad}, **rest)
            refused += 1
    assert refused > 4 * 40
    assert not server.seen


def test_empty_names(sdk: Any, client: Any, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply([{"id": "somebody's"}])
    by_name = [name for name in dir(type(client)) if re.match(r"find_.*_by_(name|value|slug)$", name)]
    assert len(by_name) == 16
    for name in by_name:
        arguments = ("",) if name.endswith("slug") else ("p", "")
        assert getattr(sdk, name)(*arguments) == {"id": "somebody's"}
        server.seen.clear()
        with pytest.raises(Invalid):
            getattr(client, name)(*arguments)
        assert not server.seen


def test_unknown_keywords(sdk: Any, client: Any, server: Any, text: str, tmp_path: Path) -> None:
    sdk.create_text_task("p", "n", text, assignes="me")
    assert "assignes" not in server.seen[0].json
    server.seen.clear()
    for call in (
        lambda: client.create_text_task("p", "n", text, assignes="me"),
        lambda: client.text_tasks.create("p", "n", text, assignes="me"),
        lambda: client.update_sequential_pcd_task("t", assignes="me"),
        lambda: client.update_dicom_task("t", priority=30),
        lambda: client.create_integrated_image_task("p", "gcp", "a.png", priority=30),
    ):
        with pytest.raises(Invalid, match="unknown keyword"):
            call()
    assert not server.seen


def test_frame_order(client: Any, server: Any, tmp_path: Path) -> None:
    for name in ("c.pcd", "a.pcd", "b.pcd"):
        (tmp_path / name).write_bytes(b"x")
    client.create_sequential_pcd_task("p", "n", str(tmp_path))
    assert [content["name"] for content in server.seen[0].json["contents"]] == ["a.pcd", "b.pcd", "c.pcd"]


def test_folder_names(sdk: Any, client: Any, server: Any, tmp_path: Path) -> None:
    folder = tmp_path / "run [1]"
    folder.mkdir()
    (folder / "a.png").write_bytes(b"x")
    with pytest.raises(ValueError, match="does not have any file"):
        sdk.create_sequential_image_task("p", "n", str(folder))
    client.create_sequential_image_task("p", "n", str(folder))
    assert len(server.seen) == 1


def test_refused_uploads(sdk: Any, client: Any, server: Any, reply: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"PK")
    signed = {"url": f"{server.base}/put", "name": "k"}
    server.answer = lambda seen: (
        reply(signed) if "files" in seen.path else reply(None, 403 if "put" in seen.path else 200)
    )
    sdk.import_appendix_file("p", str(path))
    assert len(server.seen) == 3
    server.seen.clear()
    with pytest.raises(Unauthorized):
        client.import_appendix_file("p", str(path))
    assert len(server.seen) == 2


def test_streamed_uploads(tmp_path: Path) -> None:
    import tracemalloc

    from fastlabel_dagster.api.streamed import form_body

    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        file.truncate(32 * 1024 * 1024)
    tracemalloc.start()
    body, _ = form_body(path)
    assert sum(map(len, body)) == len(body) > path.stat().st_size
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * 1024 * 1024


def test_downloads(sdk: Any, client: Any, server: Any, reply: Any, tmp_path: Path) -> None:
    rest = {"annotations": [], "customMetadata": {}, "tags": [], "type": "none"}
    objects: list[dict[str, Any]] = [{"name": "../escaped.txt", "signedUrl": server.base + "/f", **rest}]
    server.answer = lambda seen: reply(objects) if "signed-urls" in seen.path else reply(raw=b"error page", status=500)
    (tmp_path / "in").mkdir()
    sdk.download_dataset_objects("d", str(tmp_path / "in" / "sdk"))
    assert (tmp_path / "in" / "escaped.txt").exists()
    (tmp_path / "in" / "escaped.txt").unlink()
    with pytest.raises(Invalid):
        client.download_dataset_objects("d", str(tmp_path / "in" / "ours"))
    objects[0]["name"] = "inside.txt"
    with pytest.raises(ServerError):
        client.download_dataset_objects("d", str(tmp_path / "in" / "ours"))
    assert not list((tmp_path / "in").glob("**/*.txt"))


def test_errors(sdk: Any, client: Any, server: Any, reply: Any) -> None:
    for answer, theirs in (
        (reply({"error": "no such thing"}, 404), KeyError),
        (reply(["no such thing"], 404), TypeError),
        (reply(raw=b"<html>"), ValueError),
    ):
        server.answer = lambda seen, answer=answer: answer
        with pytest.raises(theirs):
            sdk.find_audio_task("t")
        with pytest.raises(FastLabelError):
            client.find_audio_task("t")
    server.answer = lambda seen: reply({"error": "no such thing"}, 404)
    with pytest.raises(NotFound) as caught:
        client.find_audio_task("t")
    assert (caught.value.status, caught.value.message) == (404, "no such thing")
    assert (caught.value.method, caught.value.path) == ("GET", "tasks/audio/t")


def test_successes(sdk: Any, client: Any, server: Any, reply: Any, text: str) -> None:
    for status in (201, 202):
        server.answer = lambda seen, status=status: reply("id", status)
        with pytest.raises(TypeError):  # on its way to a message of failure
            sdk.create_text_task("p", "n", text)
        assert client.create_text_task("p", "n", text) == "id"
        assert client.text_tasks.create("p", "n", text) == "id"
    server.answer = lambda seen: reply(None, 204)
    assert client.get_metadatas() is None


def test_patience(sdk: Any, client: Any, server: Any, reply: Any) -> None:
    server.replies(reply({"message": "busy"}, 503), reply([]))
    with pytest.raises(Exception, match="busy"):
        sdk.get_pcd_tasks("p")
    server.replies(reply(None, 503), reply([]))
    assert client.get_pcd_tasks("p") == []
    assert client.statistics.retries == 1


def test_redirects(sdk: Any, client: Any, server: Any, elsewhere: Any, reply: Any) -> None:
    server.answer = lambda seen: reply(None, 302, {"Location": elsewhere.base + "/v1/x"})
    sdk.create_workspace_user("n", "e", "en", "member")
    assert elsewhere.lines() == ["GET /v1/x"]
    with pytest.raises(Invalid):
        client.create_workspace_user("n", "e", "en", "member")
    assert len(elsewhere.seen) == 1


def test_netrc(sdk: Any, client: Any, server: Any, token: str, tmp_path: Path, monkeypatch: Any) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    sdk.get_metadatas()
    client.get_metadatas()
    assert server.seen[0].headers["Authorization"].startswith("Basic")
    assert server.seen[1].headers["Authorization"] == f"Bearer {token}"


def test_root_logger(sdk: Any) -> None:
    probe = "import logging, {}; print(len(logging.getLogger().handlers), logging.getLogger().level)"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FASTLABEL")}

    def after(module: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", probe.format(module)], capture_output=True, text=True, check=True, env=environment
        )
        return done.stdout.split("\n")[0]

    assert after("fastlabel_dagster.api") == f"0 {logging.WARNING}"
    assert after("fastlabel") == f"1 {logging.INFO}"


def test_base_address(sdk_module: Any, server: Any, token: str, monkeypatch: Any) -> None:
    monkeypatch.setenv("FASTLABEL_API_URL", server.url.rstrip("/"))
    sdk_module.Client(access_token=token).get_metadatas()
    with FastLabelClient(token, budget=None) as client:
        client.get_metadatas()
    assert server.lines() == ["GET /v1metadatas", "GET /v1/metadatas"]


def test_limit_None(sdk: Any, client: Any, server: Any) -> None:
    with pytest.raises(TypeError):
        sdk.get_video_tasks("p", limit=None)
    client.get_video_tasks("p", limit=None)
    assert server.seen[0].params == [("project", "p")]


def test_nulls_and_enums(sdk: Any, client: Any, server: Any) -> None:
    from fastlabel.const import Priority

    annotations = [{"type": "cuboid", "keypoints": None, "attributes": None}]
    for arguments in ({"annotations": annotations}, {"priority": Priority.high}):
        with pytest.raises(TypeError):
            sdk.update_pcd_task("t", **copy.deepcopy(arguments))
        client.update_pcd_task("t", **arguments)
    sent = [{"type": "cuboid", "keypoints": None, "attributes": [], "content": ""}]
    assert [seen.json for seen in server.seen] == [{"annotations": sent}, {"priority": 30}]


def test_modules(sdk: Any, client: Any, server: Any) -> None:
    for name in ("create_workspace_user_module_permissions", "delete_workspace_user_module_permissions"):
        server.seen.clear()
        with pytest.raises(ValueError, match="module must be one of"):
            getattr(sdk, name)("e", ["annotation", "everything"])
        assert len(server.seen) == 1
        with pytest.raises(Invalid, match="module must be one of"):
            getattr(client, name)("e", ["annotation", "everything"])
        assert len(server.seen) == 1


def test_video_containers(client: Any, server: Any, tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    np = pytest.importorskip("numpy")
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    renamed = path.rename(tmp_path / "v.mp4")
    with pytest.raises(Invalid, match="only AVC"):
        client.create_video_task("p", "n", str(renamed))
    assert not server.seen


def test_words(sdk: Any, client: Any, tmp_path: Path) -> None:
    def said(target: Any, name: str, path: Path) -> str:
        with pytest.raises(ValueError, match="Supported") as caught:
            getattr(target, name)("p", "n", str(path))
        return str(caught.value.message)  # type: ignore[attr-defined]

    large = tmp_path / "a.pcd"
    with large.open("wb") as file:
        file.truncate(100 * 1024 * 1024 + 1)
    heard = {}
    for name, path in (
        ("create_audio_task", tmp_path / "a.ogg"),
        ("create_pcd_task", tmp_path / "a.ply"),
        ("create_sequential_pcd_task", tmp_path),
    ):
        heard[said(sdk, name, path)] = said(client, name, path)
    assert heard == BETTER_WORDS


def test_object_types(sdk: Any, client: Any, server: Any) -> None:
    for target, kind in ((sdk, ValueError), (client, Invalid)):
        with pytest.raises(kind, match="Invalid DatasetObjectType: training"):
            target.get_dataset_objects("d", types=["training"])
    assert not server.seen


def test_JSON_and_headers(sdk: Any, client: Any, server: Any) -> None:
    for target in (sdk, client):
        target.update_task("t", tags=["a", "猫"])
    theirs, ours = server.seen
    assert theirs.json == ours.json
    assert ours.body == b'{"tags":["a","\\u732b"]}'
    assert theirs.body.replace(b": ", b":").replace(b", ", b",") == ours.body
    same = ("Content-Type", "Authorization", "Host")
    assert [theirs.headers[name] for name in same] == [ours.headers[name] for name in same]
    assert (theirs.headers["Accept"], ours.headers["Accept"]) == ("*/*", "application/json")


def test_each_difference_is_shown() -> None:
    shown = {name for name in globals() if name.startswith("test_")} - {"test_each_difference_is_shown"}
    assert shown == {"test_" + re.sub(r"\W", "_", difference.key) for difference in DIFFERENCES}
    assert all(one.sdk and one.ours and one.reason for one in DIFFERENCES)
