"""Files: what is refused, on both sides alike, and how what is taken goes out: streamed, in order, and only whole."""

from __future__ import annotations

import base64
import copy
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, Invalid, ServerError, TransportError, Unauthorized
from fastlabel_dagster.api.modalities import MODALITIES
from fastlabel_dagster.api.sdk_names.differences import BETTER_WORDS

MEGABYTE = 1024 * 1024
SIZES = {  # what the API's documentation and the SDK's constants say, written down once more
    "create_image_task": ("a.png", 20),
    "create_image_classification_task": ("a.jpeg", 20),
    "create_text_task": ("a.txt", 2),
    "create_text_classification_task": ("a.txt", 2),
    "create_audio_task": ("a.wav", 120),
    "create_audio_classification_task": ("a.mp3", 120),
    "create_video_task": ("a.mp4", 250),
    "create_video_classification_task": ("a.mp4", 250),
    "create_pcd_task": ("a.pcd", 100),
    "create_dicom_task": ("a.zip", 2000),
    "create_dataset_object": ("a.bin", 250),
    "execute_endpoint": ("a.jpg", 6),
}
FOLDERS = {
    "create_sequential_image_task": (".png", 20, 250),
    "create_multi_image_classification_task": (".gif", 20, 6),
    "create_sequential_pcd_task": (".pcd", 100, 250),
}


@pytest.fixture
def official(server: Any, token: str, monkeypatch: Any, reply: Any) -> Any:
    fastlabel = pytest.importorskip("fastlabel")
    monkeypatch.setenv("FASTLABEL_API_URL", server.url)
    server.answer = lambda seen: reply({"url": f"{server.base}/put?s=1", "name": "k"} if "files" in seen.path else "id")
    return fastlabel.Client(access_token=token)


def arguments(name: str, place: Path) -> dict[str, Any]:
    where = "folder_path" if name in FOLDERS else "file_path"
    if name == "execute_endpoint":
        return {"endpoint_name": "e", where: str(place)}
    first = {"dataset": "d"} if "dataset" in name else {"project": "p"}
    return first | ({} if "dicom" in name else {"name": "n"}) | {where: str(place)}


def outcome(target: Any, name: str, place: Path, server: Any) -> Any:
    """What a call came to: the texts of a refusal, or the requests."""
    server.seen.clear()
    try:
        getattr(target, name)(**arguments(name, place))
    except ValueError as error:
        assert not server.seen
        message = str(getattr(error, "message", error))
        return BETTER_WORDS.get(message, message), getattr(error, "code", getattr(error, "status", None))
    except OSError as error:
        return type(error)
    return server.lines()


def sparse(path: Path, size: int, head: bytes = b"") -> Path:
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


@pytest.mark.parametrize("name", sorted(SIZES))
def test_a_byte_too_many_is_refused(name: str, official: Any, client: Any, server: Any, tmp_path: Path) -> None:
    file, megabytes = SIZES[name]
    large = sparse(tmp_path / file, megabytes * MEGABYTE + 1)
    refused = outcome(client, name, large, server)
    assert refused == outcome(official, name, large, server)
    assert refused[1] == 422
    assert "size is under" in refused[0]


@pytest.mark.parametrize("name", ["create_image_task", "create_text_task", "execute_endpoint"])
def test_exactly_the_limit_passes(name: str, official: Any, client: Any, server: Any, tmp_path: Path) -> None:
    file, megabytes = SIZES[name]
    exact = sparse(tmp_path / file, megabytes * MEGABYTE)
    assert len(outcome(client, name, exact, server)) == 1
    ours = server.seen[0].json
    assert len(outcome(official, name, exact, server)) == 1
    assert ours == server.seen[0].json


@pytest.mark.parametrize("name", [*sorted(set(SIZES) - {"create_dataset_object"}), "import_appendix_file"])
def test_extensions(name: str, official: Any, client: Any, server: Any, tmp_path: Path) -> None:
    endings = [
        "png",
        "PNG",
        "jpg",
        "jpeg",
        "gif",
        "webp",
        "mp4",
        "MOV",
        "txt",
        "mp3",
        "wav",
        "m4a",
        "w4a",
        "pcd",
        "ply",
    ]
    for ending in [*endings, "pcd", "zip", "xpng", ""]:
        path = tmp_path / (f"a.{ending}" if ending else "png")
        path.write_bytes(b"x")
        if name.startswith("import"):
            ours, theirs = (_imported(target, path, server) for target in (client, official))
        else:
            ours, theirs = (outcome(target, name, path, server) for target in (client, official))
        assert ours == theirs, ending
    missing = tmp_path / "missing.bin"
    if not name.startswith("import"):
        assert outcome(client, name, missing, server) == outcome(official, name, missing, server)


def _imported(target: Any, path: Path, server: Any) -> Any:
    server.seen.clear()
    results = []
    for name in ("import_appendix_file", "import_robotics_contents_file"):
        try:
            getattr(target, name)("p", str(path))
        except ValueError as error:
            results.append(getattr(error, "message", None))
    return results, server.lines()


@pytest.mark.parametrize("name", sorted(FOLDERS))
def test_folders(name: str, official: Any, client: Any, server: Any, tmp_path: Path) -> None:
    ending, megabytes, most = FOLDERS[name]

    def both(folder: Path) -> Any:
        ours = outcome(client, name, folder, server)
        assert ours == outcome(official, name, folder, server)
        return ours

    full, crowded, large, other, empty, hidden = (
        tmp_path / kind for kind in ("full", "crowded", "large", "other", "empty", "hidden")
    )
    for folder in (full, crowded, large, other, empty, hidden):
        folder.mkdir()
    for number in range(most):
        (full / f"{number:03}{ending}").write_bytes(b"x")
    for number in range(most + 1):
        (crowded / f"{number:03}{ending}").write_bytes(b"x")
    sparse(large / f"a{ending}", megabytes * MEGABYTE + 1)
    (other / "a.bmp").write_bytes(b"x")
    (hidden / f".a{ending}").write_bytes(b"x")
    assert len(both(full)) == 1
    assert both(crowded) == (f"The count of files should be under {most}", 422)
    assert "size is under" in both(large)[0]
    assert "extensions" in both(other)[0]
    assert both(empty) == both(hidden) == ("Folder does not have any file.", 422)
    assert both(tmp_path / "nowhere") == both(full / f"000{ending}") == ("Folder does not exist.", 422)


def test_all_files_of_a_folder_together(official: Any, client: Any, server: Any, tmp_path: Path) -> None:
    """Sparse files of 20 MB: 19 of them fit into the longest text that the API takes, 20 do not."""
    for number in range(20):
        sparse(tmp_path / f"{number:02}.png", 20 * MEGABYTE)
    with pytest.raises(Invalid, match="Supported contents size is under 536870000"):
        client.create_sequential_image_task("p", "n", str(tmp_path))
    assert not server.seen


def test_frames_go_out_in_the_order_of_their_names(client: Any, server: Any, reply: Any, tmp_path: Path) -> None:
    server.answer = lambda seen: reply("id")
    names = ["b.png", "a.png", "10.png", "9.png", "猫.png", "B.png"]
    folder = tmp_path / "with [brackets] *"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(name.encode())
    client.create_sequential_image_task("p", "n", str(folder))
    client.sequential_image_tasks.create("p", "n", folder)
    for seen in server.seen:
        assert [content["name"] for content in seen.json["contents"]] == sorted(names)
        assert [base64.b64decode(c["file"]).decode() for c in seen.json["contents"]] == sorted(names)


ENTRIES = [b"avc1", b"avc2", b"avc3", b"avc4", b"h264", b"H264", b"hvc1", b"hev1", b"av01", b"encv", None]


@pytest.mark.parametrize("entry", ENTRIES)
def test_codecs(
    entry: bytes | None,
    mp4_of: Callable[[bytes | None], bytes],
    official: Any,
    client: Any,
    server: Any,
    tmp_path: Path,
) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(mp4_of(entry))
    for name in ("create_video_task", "create_video_classification_task"):
        ours = outcome(client, name, path, server)
        assert ours == outcome(official, name, path, server)
        assert (len(ours) == 1) == (entry in ENTRIES[:6])


def test_what_is_no_video_at_all(official: Any, client: Any, server: Any, h264_mp4: bytes, tmp_path: Path) -> None:
    moov = h264_mp4.index(b"moov") - 4
    broken = [
        b"",
        b"x",
        b"\0" * 4096,
        b"\xff" * 4096,
        h264_mp4[:moov],
        h264_mp4[: moov + 40],
        h264_mp4[:moov] + b"\0\0\0\1moov",
        h264_mp4.replace(b"vide", b"soun"),
        h264_mp4.replace(b"stsd", b"xxxx"),
    ]
    for content in broken:
        path = tmp_path / "v.mp4"
        path.write_bytes(content)
        with pytest.raises(Invalid, match="only AVC"):
            client.create_video_task("p", "n", str(path))
        with pytest.raises(Invalid, match="only AVC"):
            client.video_tasks.create("p", "n", content=content)
    assert not server.seen


def test_the_index_may_come_first_and_sizes_be_long(client: Any, server: Any, reply: Any, h264_mp4: bytes) -> None:
    server.answer = lambda seen: reply("id")
    start = h264_mp4.index(b"moov") - 4
    moov = h264_mp4[start:]
    long = b"\0\0\0\1moov" + (len(moov) + 8).to_bytes(8, "big") + moov[8:]
    open_ended = h264_mp4[:start] + b"\0\0\0\0" + moov[4:]
    for content in (moov + h264_mp4[:start], long + h264_mp4[:start], open_ended):
        assert client.video_tasks.create("p", "n", content=content) == "id"


@pytest.fixture
def zip_file(tmp_path: Path) -> Path:
    path = tmp_path / "シリーズ 1.zip"
    path.write_bytes(os.urandom(300_000))
    return path


def storage(server: Any, reply: Any, *puts: Any) -> None:
    """FastLabel and its storage in one: answers the uploads with these, then with success."""
    waiting = list(puts)

    def answer(seen: Any) -> Any:
        if seen.path == "/v1/files":
            return reply({"url": f"{server.base}/bucket/key?X-Amz-Signature=abc", "name": "key"})
        if seen.method == "PUT":
            return waiting.pop(0) if waiting else reply(None)
        return reply({"id": "history"})

    server.answer = answer


def uploads(client: FastLabelClient, path: Path) -> list[Callable[[], Any]]:
    return [
        lambda: client.create_dicom_task("p", str(path)),
        lambda: client.dicom_tasks.create("p", path),
        lambda: client.import_appendix_file("p", str(path)),
        lambda: client.appendix.import_file("p", path),
        lambda: client.import_robotics_contents_file("p", str(path)),
        lambda: client.robotics_tasks.import_contents("p", path),
    ]


def test_a_refused_upload_creates_nothing(client: Any, server: Any, reply: Any, zip_file: Path) -> None:
    for upload in uploads(client, zip_file):
        server.seen.clear()
        storage(server, reply, reply(raw=b"<Error><Code>AccessDenied</Code></Error>", status=403))
        with pytest.raises(Unauthorized) as caught:
            upload()
        assert "abc" not in str(caught.value)
        assert server.lines() == ["GET /v1/files", "PUT /bucket/key"]


def test_passing_trouble_of_the_storage_is_sat_out(client: Any, server: Any, reply: Any, zip_file: Path) -> None:
    for upload in uploads(client, zip_file):
        server.seen.clear()
        storage(server, reply, reply(None, 503), reply(drop=True), reply(None, 500))
        assert upload() == {"id": "history"}
        bodies = [seen.body for seen in server.seen if seen.method == "PUT"]
        assert len(bodies) == 4
        assert all(zip_file.read_bytes() in body for body in bodies)
        assert not any("Authorization" in seen.headers for seen in server.seen if seen.method == "PUT")
    storage(server, reply, *[reply(None, 500)] * 9)
    with pytest.raises(ServerError):
        client.dicom_tasks.create("p", zip_file)


def test_another_region_takes_the_upload(client: Any, server: Any, elsewhere: Any, reply: Any, zip_file: Path) -> None:
    storage(server, reply, reply(None, 307, {"Location": elsewhere.base + "/there"}))
    elsewhere.answer = lambda seen: reply(None)
    client.dicom_tasks.create("p", zip_file)
    assert elsewhere.lines() == ["PUT /there"]
    assert zip_file.read_bytes() in elsewhere.seen[0].body
    assert "Authorization" not in elsewhere.seen[0].headers


def test_a_storage_address_that_is_none(client: Any, server: Any, reply: Any, zip_file: Path) -> None:
    for signed in ({}, [], None, {"url": "file:///etc/passwd", "name": "k"}, {"url": "", "name": "k"}):
        server.answer = lambda seen, signed=signed: reply(signed)
        with pytest.raises((ServerError, Invalid)):
            client.dicom_tasks.create("p", zip_file)
    assert {seen.path for seen in server.seen} == {"/v1/files"}


def test_a_file_that_shrinks_while_it_is_sent(client: Any, server: Any, zip_file: Path) -> None:
    from fastlabel_dagster.api.streamed import form_body

    body, _ = form_body(zip_file)
    zip_file.write_bytes(b"short")
    with pytest.raises(Invalid, match="became shorter"):
        b"".join(body)
    body, _ = form_body(zip_file)
    zip_file.unlink()
    with pytest.raises(Invalid, match="could not be read"):
        b"".join(body)


def test_large_files_are_never_in_memory_whole(tmp_path: Path, token: str, h264_mp4: bytes) -> None:
    """A zip and a video of 64 MB each, before a server that counts and forgets: not 4 MB of memory for either."""
    import socket
    import threading

    received = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as stream:
                while line := stream.readline():
                    method, path, _ = line.split(b" ")
                    length = 0
                    while (header := stream.readline()) != b"\r\n":
                        if header.lower().startswith(b"content-length:"):
                            length = int(header.split(b":")[1])
                    received.append((method, path.split(b"?")[0], length))
                    while length:
                        length -= len(stream.read(min(65536, length)))
                    answer = b'{"url": "%s/put", "name": "k"}' % base if b"/files" in path else b'"id"'
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))

    size = 64 * MEGABYTE
    video = sparse(tmp_path / "v.mp4", size, h264_mp4[h264_mp4.index(b"moov") - 4 :])
    zipped = sparse(tmp_path / "z.zip", size)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        base = b"http://127.0.0.1:%d" % listener.getsockname()[1]
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        with FastLabelClient(token, base.decode() + "/v1", budget=None) as client:
            client.tasks.update("t", status="approved")  # connections, codecs: what every first request needs
            for upload in (
                lambda: client.video_tasks.create("p", "n", video),
                lambda: client.dicom_tasks.create("p", zipped),
            ):
                tracemalloc.start()
                upload()
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
                assert peak < 4 * MEGABYTE
    lengths = {path: length for _, path, length in received}
    assert size * 4 // 3 < lengths[b"/v1/tasks/video"] < size * 4 // 3 + 200
    assert size < lengths[b"/put"] < size + 300


def test_bodies_in_memory_and_on_disk_are_the_same(client: Any, server: Any, reply: Any, tmp_path: Path) -> None:
    server.answer = lambda seen: reply("id")
    for size in (0, 1, 2, 3, 192 * 1024 - 1, 192 * 1024, 192 * 1024 + 1, 400_001):
        content = os.urandom(size)
        path = tmp_path / "a.pcd"
        path.write_bytes(content)
        server.seen.clear()
        client.pcd_tasks.create("p", "n", path, metadatas=[{"key": 'file-"', "value": "\\"}])
        client.pcd_tasks.create("p", "n", content=content, metadatas=[{"key": 'file-"', "value": "\\"}])
        assert server.seen[0].body == server.seen[1].body
        assert base64.b64decode(server.seen[0].json["file"]) == content


def test_a_streamed_body_is_sent_again_whole(client: Any, server: Any, reply: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.pcd"
    path.write_bytes(os.urandom(500_000))
    server.replies(reply(None, 429), reply("id"))
    assert client.create_pcd_task("p", "n", str(path)) == "id"
    assert server.seen[0].body == server.seen[1].body
    assert base64.b64decode(server.seen[1].json["file"]) == path.read_bytes()
    assert client.statistics.bytes_sent == 2 * len(server.seen[0].body)


@pytest.mark.parametrize("modality", [m for m in MODALITIES if m.source in ("file", "folder")], ids=lambda m: m.key)
def test_a_lost_answer_makes_no_second_task(
    modality: Any, client: Any, server: Any, reply: Any, tmp_path: Path, h264_mp4: bytes
) -> None:
    path = tmp_path / f"a.{modality.file.extensions[0]}"
    path.write_bytes(h264_mp4)
    place = tmp_path if modality.source == "folder" else path
    group = getattr(client, modality.group)
    made = {"id": "t1", "name": "猫"}
    # The answer is lost, but the task is there.
    server.replies(reply(drop=True), reply([{"id": "t0", "name": "猫 2"}, made]))
    assert group.create("p", "猫", place) == "t1"
    assert [seen.method for seen in server.seen] == ["POST", "GET"]
    # It is not there: sent again. The server had made it after all, only later: looked up once more.
    server.seen.clear()
    server.replies(reply(None, 502), reply([]), reply({"message": "name is taken"}, 422), reply([made]))
    assert group.create("p", "猫", place) == "t1"
    assert [seen.method for seen in server.seen] == ["POST", "GET", "POST", "GET"]
    # A refusal without any doubt is handed on.
    server.seen.clear()
    server.replies(reply({"message": "name is taken"}, 422))
    with pytest.raises(Invalid, match="name is taken"):
        group.create("p", "猫", place)
    assert len(server.seen) == 1
    # And it ends.
    server.answer = lambda seen: reply(None, 503) if seen.method == "POST" else reply([])
    with pytest.raises(ServerError):
        group.create("p", "猫", place)


def test_the_sdks_names_never_send_a_create_twice(client: Any, server: Any, reply: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    server.replies(reply(drop=True))
    with pytest.raises(TransportError):
        client.create_text_task("p", "n", str(path))
    assert len(server.seen) == 1


def test_lists_of_the_caller_stay(client: Any, server: Any, reply: Any, tmp_path: Path) -> None:
    server.answer = lambda seen: reply("id")
    path = tmp_path / "a.txt"
    path.write_bytes(b"x")
    attributes = [{"key": "k", "name": "n", "title": "t", "type": "text", "value": "v"}]
    before = copy.deepcopy(attributes)
    client.text_classification_tasks.create("p", "n", path, attributes=attributes)
    client.create_text_classification_task("p", "n", str(path), attributes=attributes)
    client.text_classification_tasks.update("t", attributes=attributes, tags=[])
    client.text_classification_tasks.update("t", attributes=[])
    assert attributes == before
    assert [seen.json["attributes"] for seen in server.seen] == [[{"key": "k", "value": "v"}]] * 3 + [[]]
    assert server.seen[2].json["tags"] == []
