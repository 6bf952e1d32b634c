"""What only an S3 store has to get right: requests saved, content types, errors, credentials, Delta commits."""

from __future__ import annotations

import http.server
import itertools
import json
import random
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from fastlabel_dagster.store import S3Options, Store, StoreError, open_store

SECRET = "test-secret-key"


@contextmanager
def requests_of(store: Any) -> Iterator[Counter[str]]:
    """Counts the operations sent to S3 within."""
    counted: Counter[str] = Counter()

    def count(model: Any, **_: Any) -> None:
        counted[model.name] += 1

    store.client.meta.events.register("before-call.s3", count)
    yield counted
    store.client.meta.events.unregister("before-call.s3", count)


def test_a_second_run_with_the_same_content_sends_nothing(s3_store: Store) -> None:
    images = s3_store.at("images")
    with images.new_folder() as folder:
        folder.write_many((f"{number}.jpg", b"%d" % number) for number in range(100))

    def export(changed: bytes) -> Counter[str]:
        with requests_of(s3_store) as counted, s3_store.new_folder("yolo", last=["data.yaml"]) as folder:
            for number in range(100):
                folder.link(images, f"{number}.jpg", f"images/{number}.jpg")
                folder.write_bytes(f"labels/{number}.txt", b"0 0.5 0.5 1 1" if number else changed)
            folder.write_bytes("data.yaml", b"names: [a]")
        return counted

    first = export(b"0 0 0 0 0")
    assert (first["CopyObject"], first["PutObject"]) == (100, 103)  # with the marks of a folder, being written and done
    second = export(b"0 0 0 0 0")
    assert not {"CopyObject", "PutObject", "DeleteObjects", "CreateMultipartUpload"} & set(second)
    assert second.total() < 80
    third = export(b"0 1 1 1 1")
    assert (third["CopyObject"], third["PutObject"]) == (0, 2)
    assert s3_store.read_bytes("yolo/labels/0.txt") == b"0 1 1 1 1"


def test_index_files_are_written_after_all_else(s3_store: Store) -> None:
    order: list[str] = []
    client = s3_store.client  # type: ignore[attr-defined]
    client.meta.events.register("before-call.s3.PutObject", lambda params, **_: order.append(params["url_path"]))
    client.meta.events.register(
        "before-call.s3.CompleteMultipartUpload", lambda params, **_: order.append(params["url_path"])
    )
    with s3_store.new_folder("coco", last=["annotations.json", "report.json"]) as folder:
        folder.write_bytes("report.json", b"{}")
        with folder.open("annotations.json") as stream:
            stream.write(b"x" * 17_000_000)
        folder.write_many((f"{number}.txt", b"") for number in range(40))
    assert [path.rpartition("/")[2] for path in order[-2:]] == ["annotations.json", "report.json"]
    assert len(order) == 44  # with the two marks
    assert s3_store.read_bytes("coco/annotations.json") == b"x" * 17_000_000
    client.meta.events.unregister("before-call.s3.PutObject")


def test_an_abandoned_stream_leaves_no_parts_behind(s3_store: Any) -> None:
    with pytest.raises(RuntimeError), s3_store.new_folder("coco") as folder, folder.open("big") as stream:
        stream.write(b"x" * 40_000_000)
        raise RuntimeError
    assert list(s3_store.list()) == []
    assert "Uploads" not in s3_store.client.list_multipart_uploads(Bucket=s3_store.bucket)


def test_an_interrupted_first_run_can_be_repeated(s3_store: Any) -> None:
    """What a process killed before its index was written leaves: data, and the mark."""
    with pytest.raises(FileNotFoundError), s3_store.new_folder("coco", last=["index.json"]) as folder:
        folder.write_bytes("a.txt", b"1")
        folder.link(s3_store, "none", "b.txt")
    s3_store.client.put_object(Bucket=s3_store.bucket, Key="some/prefix/coco/.folder.000000000000.partial", Body=b"")
    s3_store.write_bytes("coco/old.txt", b"half")
    assert [found.path for found in s3_store.list()] == ["coco/old.txt"]
    with s3_store.new_folder("coco", last=["index.json"]) as folder:
        folder.write_bytes("index.json", b"1")
    keys = [entry["Key"] for entry in s3_store.client.list_objects_v2(Bucket=s3_store.bucket)["Contents"]]
    assert keys == ["some/prefix/coco/.fastlabel-folder", "some/prefix/coco/index.json"]


def test_an_interrupted_run_does_not_make_the_files_of_others_its_own(s3_store: Any) -> None:
    coco, last = s3_store.at("coco"), ["index.json"]
    with s3_store.new_folder("coco", last=last) as folder:
        folder.write_many([("1.txt", b"1"), ("index.json", b"1")])
    coco.write_bytes("thesis.txt", b"years of work")
    coco.write_bytes("1.txt", b"1")
    writer = s3_store.new_folder("coco", last=last)
    writer.__enter__()
    writer.write_many([("1.txt", b"one"), ("2.txt", b"two")])
    writer._transfers.finish()  # and now the process is killed
    with s3_store.new_folder("coco", last=last) as folder:
        folder.write_many([("3.txt", b"3"), ("index.json", b"3")])
    assert [found.path for found in coco.list()] == ["3.txt", "index.json", "thesis.txt"]


def test_a_killed_writer_leaves_an_index_that_is_true(moto_s3: Any) -> None:
    script = """
import sys
from fastlabel_dagster.store import open_store
store, number = open_store(sys.argv[1]), int(sys.argv[2])
with store.new_folder("warm-up", replace=True) as folder:
    folder.write_bytes("a", b"")
print("ready", flush=True)
while True:
    number += 1
    with store.new_folder("out", last=["index.txt"]) as folder:
        folder.write_bytes("index.txt", b"%d" % number)
        folder.write_many((f"{number}-{each}.txt", b"%d" % number) for each in range(8))
    print(number, flush=True)
"""
    uri = f"s3://{moto_s3.bucket}/kill"
    store = open_store(uri)
    last = 0
    chance = random.Random(1)
    for _ in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", script, uri, str(last)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.random() * 0.4)
            process.send_signal(signal.SIGKILL)
            finished = [int(line) for line in process.stdout.read().splitlines()]
        if store.exists("out/index.txt"):
            number = int(store.read_bytes("out/index.txt"))
            assert number in {max([last, *finished]), max([last, *finished]) + 1}
            assert all(store.read_bytes(f"out/{number}-{each}.txt") == b"%d" % number for each in range(8))
            last = number
    with store.new_folder("out", last=["index.txt"]) as folder:
        folder.write_bytes("index.txt", b"end")
    assert last > 0
    assert [found.path for found in store.at("out").list()] == ["index.txt"]


def test_a_writer_that_fails_leaves_what_another_has_published(s3_store: Any) -> None:
    last, data = ["index.json"], [(f"{each}.txt", b"x") for each in range(5)]
    one = s3_store.new_folder("coco", last=last)
    with pytest.raises(ZeroDivisionError), one:
        one.write_many(data)
        one._transfers.finish()
        with s3_store.new_folder("coco", last=last) as other:
            other.write_many([*data, ("index.json", b"{}")])
        raise ZeroDivisionError
    assert [found.path for found in s3_store.at("coco").list()] == [*(path for path, _ in data), "index.json"]


def test_an_index_is_not_published_without_its_data(s3_store: Any) -> None:
    last, data = ["index.json"], [(f"{each}.txt", b"x") for each in range(5)]
    with s3_store.new_folder("coco", last=last) as before:
        before.write_bytes("index.json", b"old")
    one = s3_store.new_folder("coco", last=last)
    one.__enter__()
    one.write_many(data)
    one._transfers.finish()
    other = s3_store.new_folder("coco", last=last)
    with pytest.raises(StoreError, match=r"coco/0.txt is gone, another process writes the same folder"), other:
        other.write_many([*data, ("index.json", b"new")])
        other._transfers.finish()  # they are there already
        one.__exit__(ValueError, ValueError(), None)
    assert s3_store.read_bytes("coco/index.json") == b"old"


def test_what_another_writer_published_meanwhile_is_replaced(s3_store: Any) -> None:
    last = ["index.json"]
    with s3_store.new_folder("coco", last=last) as one:
        one.write_many([("1.txt", b"1"), ("index.json", b"1")])
        with s3_store.new_folder("coco", last=last) as other:
            other.write_many([("2.txt", b"2"), ("index.json", b"2")])
    assert [found.path for found in s3_store.at("coco").list()] == ["1.txt", "index.json"]
    assert s3_store.read_bytes("coco/index.json") == b"1"


def test_content_types(s3_store: Any) -> None:
    expected = {
        "a.json": "application/json",
        "a.YAML": "application/yaml",
        "a.txt": "text/plain; charset=utf-8",
        "a.jpg": "image/jpeg",
        "a.jpeg": "image/jpeg",
        "a.png": "image/png",
        "a": "application/octet-stream",
    }
    s3_store.write_bytes("x.bin", b"1")
    with s3_store.new_folder("types") as folder:
        for path in expected:
            folder.write_bytes(path, b"1")
        folder.link(s3_store, "x.bin", "linked.png")
    for path, kind in {**expected, "linked.png": "image/png"}.items():
        head = s3_store.client.head_object(Bucket=s3_store.bucket, Key=f"some/prefix/types/{path}")
        assert head["ContentType"] == kind


def test_the_same_bytes_local_and_on_s3(local_store: Store, s3_store: Store) -> None:
    for store in (local_store, s3_store):
        store.write_bytes("source/1.jpg", b"\xff\xd8\xff")
        with store.new_folder("coco", last=["b.json"]) as folder:
            folder.write_bytes("写真/a b.txt", b"1")
            folder.link(store.at("source"), "1.jpg", "1.jpg")
            with folder.open("b.json") as stream:
                stream.write(json.dumps({"a": 1}).encode())
    content = [
        {found.path: store.read_bytes(found.path) for found in store.list()} for store in (local_store, s3_store)
    ]
    assert content[0] == content[1]


def test_an_object_that_changes_while_it_is_read_is_noticed(s3_store: Store) -> None:
    s3_store.write_bytes("big", b"a" * 9_000_000)
    with s3_store.open_read("big") as file:
        assert file.read(10) == b"a" * 10
        s3_store.write_bytes("big", b"b" * 9_000_000)
        file.seek(8_000_000)
        with pytest.raises(StoreError, match="PreconditionFailed"):
            file.read(10)


def test_an_index_in_place_keeps_its_data_when_the_next_file_fails(s3_store: Any) -> None:
    def refuse(params: Any, **_: Any) -> None:
        if params["url_path"].endswith("report.json"):
            raise ConnectionError

    with s3_store.new_folder("coco", last=["index.json", "report.json"]) as folder:
        folder.write_many([("1.txt", b"1"), ("index.json", b"1.txt"), ("report.json", b"1")])
    s3_store.client.meta.events.register("before-call.s3.PutObject", refuse)
    with pytest.raises(ConnectionError), s3_store.new_folder("coco", last=["index.json", "report.json"]) as folder:
        folder.write_many([("2.txt", b"2"), ("index.json", b"2.txt"), ("report.json", b"2")])
    s3_store.client.meta.events.unregister("before-call.s3.PutObject", refuse)
    assert s3_store.read_bytes("coco/" + s3_store.read_bytes("coco/index.json").decode()) == b"2"


def every_call(store: Store) -> list[Callable[[], object]]:
    return [
        lambda: store.read_bytes("a"),
        lambda: store.exists("a"),
        lambda: store.write_bytes("a", b""),
        lambda: list(store.list()),
        lambda: store.delete(["a"]),
        lambda: store.new_folder("x").__enter__(),
    ]


def failure(call: Callable[[], object]) -> tuple[StoreError, str]:
    """The error, and all a log would show of it."""
    with pytest.raises(StoreError) as caught:
        call()
    assert not isinstance(caught.value, FileNotFoundError)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    return caught.value, shown


def test_a_bucket_that_is_not_there(moto_s3: Any) -> None:
    for call in every_call(open_store("s3://no-such-bucket-here/prefix")):
        error, _ = failure(call)
        assert str(error).startswith("cannot use s3://no-such-bucket-here")
        assert "there is no such bucket" in str(error)


def test_a_server_that_is_down(moto_s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    store = open_store("s3://bucket/prefix", S3Options(endpoint_url="http://127.0.0.1:9"))
    for call in every_call(store):
        error, shown = failure(call)
        assert "the S3 server at http://127.0.0.1:9 cannot be reached" in str(error)
        assert SECRET not in shown


@contextmanager
def answering(answer: Callable[[http.server.BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """A server on loopback that answers every request as told."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def reply(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer(self)

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = reply

        def log_message(self, *_: Any) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("status", "code", "advice"),
    [
        (403, "AccessDenied", "access denied"),
        (403, "InvalidAccessKeyId", "access key is unknown"),
        (403, "SignatureDoesNotMatch", "secret key does not fit"),
        (400, "ExpiredToken", "log in again"),
        (503, "SlowDown", "fewer requests"),
        (400, "SomethingNew", "SomethingNew: it is Tuesday"),
    ],
)
def test_refusals_are_sentences(
    moto_s3: Any, monkeypatch: pytest.MonkeyPatch, status: int, code: str, advice: str
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    body = f"<Error><Code>{code}</Code><Message>it is Tuesday.</Message></Error>".encode()

    def refuse(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    with answering(refuse) as url:
        store = open_store("s3://bucket/prefix", S3Options(endpoint_url=url, region="us-east-1"))
        for call in (
            lambda: store.write_bytes("a.txt", b""),
            lambda: store.read_bytes("a.txt"),
            lambda: list(store.list()),
        ):
            error, shown = failure(call)
            assert "s3://bucket/prefix" in str(error)
            assert advice in str(error)
            assert SECRET not in shown
            assert "\n" not in str(error)


def test_a_connection_that_breaks_off_is_tried_again(moto_s3: Any) -> None:
    tries = itertools.count()

    def break_off(request: http.server.BaseHTTPRequestHandler) -> None:
        request.send_response(206)
        request.send_header("Content-Length", "10")
        request.send_header("Content-Range", "bytes 0-9/10")
        request.send_header("ETag", '"1"')
        request.end_headers()
        request.wfile.write(b"0123456789" if next(tries) == 2 else b"0123")

    with answering(break_off) as url:
        assert open_store("s3://bucket", S3Options(endpoint_url=url)).read_bytes("a") == b"0123456789"


def test_no_credentials(moto_s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    store = open_store(f"s3://{moto_s3.bucket}")
    for call in (lambda: store.write_bytes("a", b""), store.storage_options):
        assert "AWS_ACCESS_KEY_ID" in str(failure(call)[0])


def test_a_profile_that_is_not_there(moto_s3: Any) -> None:
    store = open_store(f"s3://{moto_s3.bucket}", S3Options(profile="nobody"))
    assert "nobody" in str(failure(lambda: store.write_bytes("a", b""))[0])


def test_a_token_with_a_line_break_is_not_shown(moto_s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "hush-hush\n")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    _, shown = failure(lambda: open_store(f"s3://{moto_s3.bucket}").write_bytes("a", b""))
    assert "hush-hush" not in shown
    assert SECRET not in shown


def test_credentials_are_not_shown(s3_store: Store) -> None:
    s3_store.write_bytes("a", b"")
    assert SECRET not in repr(s3_store) + str(s3_store) + repr(vars(s3_store)) + repr(s3_store.new_folder("x"))


def test_options_for_delta(moto_s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"s3://{moto_s3.bucket}/x")
    expected = {
        "AWS_ACCESS_KEY_ID": "test-key-id",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_CONDITIONAL_PUT": "etag",
        "AWS_ENDPOINT_URL": moto_s3.endpoint_url,
        "AWS_ALLOW_HTTP": "true",
    }
    assert store.at("labels").storage_options() == expected
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    assert open_store("s3://bucket").storage_options() == {**expected, "AWS_SESSION_TOKEN": "session"}
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    options = open_store("s3://bucket", S3Options(region="ap-northeast-1")).storage_options()
    assert options["AWS_REGION"] == "ap-northeast-1"
    assert not {"AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP"} & set(options)


def test_the_region_is_asked_for_when_nothing_names_it(moto_s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    bucket = f"{moto_s3.bucket}-far"
    boto3.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert open_store(f"s3://{bucket}").storage_options()["AWS_REGION"] == "eu-west-3"


def test_a_token_that_belongs_to_other_keys_is_told(
    moto_s3: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """deltalake takes AWS_SESSION_TOKEN from the environment, whichever keys it is given."""
    (tmp_path / "credentials").write_text("[fixed]\naws_access_key_id = a\naws_secret_access_key = b\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    assert open_store("s3://bucket", S3Options(profile="fixed")).storage_options()["AWS_ACCESS_KEY_ID"] == "a"
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    error, _ = failure(open_store("s3://bucket", S3Options(profile="fixed")).storage_options)
    assert "AWS_SESSION_TOKEN" in str(error)


def test_concurrent_delta_commits_lose_nothing(s3_store: Store) -> None:
    """Four processes append to one table at once; every row is there, and each commit has a version of its own."""
    script = """
import json, os, sys
import pyarrow as pa
from deltalake import write_deltalake
from deltalake.exceptions import CommitFailedError
from fastlabel_dagster.store import open_store
store, writer = open_store(sys.argv[1]), int(sys.argv[2])
for number in range(5):
    write_deltalake(store.uri_of("t"), pa.table({"writer": [writer], "number": [number]}), mode="append",
                    storage_options=store.storage_options())
"""
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake

    options = s3_store.storage_options()
    write_deltalake(s3_store.uri_of("t"), pa.table({"writer": [-1], "number": [-1]}), storage_options=options)
    writers = [subprocess.Popen([sys.executable, "-c", script, s3_store.uri, str(number)]) for number in range(4)]
    assert [writer.wait() for writer in writers] == [0] * 4
    table = DeltaTable(s3_store.uri_of("t"), storage_options=options)
    rows = table.to_pyarrow_table().to_pylist()
    assert table.version() == 20
    assert sorted((row["writer"], row["number"]) for row in rows) == [
        (-1, -1),
        *itertools.product(range(4), range(5)),
    ]
