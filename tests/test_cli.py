"""The command line, run as a user runs it: a process of its own against the sandbox."""

import json
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner

from fastlabel_dagster.cli import main
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.seed import seed_drawn


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        seed_drawn(running.state, tasks=12)
        yield running


def command(*arguments, token="sandbox-token", url="", **more):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FASTLABEL_", "AWS_"))}
    environment = {**kept, **more, "FASTLABEL_API_URL": url, **({"FASTLABEL_ACCESS_TOKEN": token} if token else {})}
    return subprocess.run(
        [sys.executable, "-m", "fastlabel_dagster", *map(str, arguments)],
        capture_output=True, text=True, env=environment, check=False, timeout=120,
    )  # fmt: skip


def doctor(monkeypatch, url, *arguments, **more):
    """What ``doctor`` says and its exit code, asked in this process."""
    for name in [name for name in os.environ if name.startswith(("FASTLABEL_", "AWS_"))]:
        monkeypatch.delenv(name)
    environment = {**more, "FASTLABEL_API_URL": url, "FASTLABEL_ACCESS_TOKEN": "sandbox-token"}
    done = CliRunner().invoke(main, ["doctor", *map(str, arguments)], env=environment)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def test_sync_diff_and_convert(sandbox, tmp_path):
    store = tmp_path / "store"
    first = command("sync", "street-scenes", store, url=sandbox.url)
    assert first.returncode == 0, first.stderr
    assert "12 tasks" in first.stdout and "version 0" in first.stdout and "12 of 12 images" in first.stdout

    task = sandbox.state.task_ids("street-scenes", status="completed")[0]
    sandbox.state.set_status(task, "approved")
    assert "version 1" in command("sync", "street-scenes", store, "--no-images", "--take-over", url=sandbox.url).stdout
    changes = command("diff", store)
    assert changes.returncode == 0, changes.stderr
    assert "version 0 → 1: 1 task completed → approved" in changes.stdout

    from fastlabel_dagster import LabelMirror, formats

    formats.write(LabelMirror(store / "labels").read(), format="coco", target=tmp_path / "coco")
    converted = command("convert", tmp_path / "coco", tmp_path / "yolo", "--from", "coco", "--to", "yolo")
    assert converted.returncode == 0, converted.stderr
    annotations = len(json.loads((tmp_path / "coco" / "annotations.json").read_text())["annotations"])
    report = json.loads((tmp_path / "yolo" / "report.json").read_text())
    assert report["written"] + sum(note["count"] for note in report["dropped"]) == annotations


@pytest.mark.parametrize(
    ("arguments", "token", "words"),
    [
        (("sync", "street-scenes", "out"), "wrong-token-0123", "FASTLABEL_ACCESS_TOKEN"),
        (("sync", "no-such-project", "out"), "sandbox-token", "no-such-project"),
        (("sync", "street-scenes", "out"), "", "FASTLABEL_ACCESS_TOKEN"),
        (("diff", "nothing-here"), "sandbox-token", "no mirror"),
        (("convert", ".", "out", "--from", "paper", "--to", "yolo"), "sandbox-token", "paper"),
    ],
)
def test_what_a_user_can_mend_is_one_sentence(sandbox, tmp_path, arguments, token, words):
    arguments = [tmp_path / word if word in ("out", "nothing-here") else word for word in arguments]
    done = command(*arguments, token=token, url=sandbox.url)
    assert done.returncode == 1
    assert words in done.stderr and "Traceback" not in done.stderr
    assert "wrong-token-0123" not in done.stderr + done.stdout


def test_doctor_finds_all_well(sandbox, tmp_path):
    done = command("doctor", "--store", tmp_path / "store", url=sandbox.url)
    assert done.returncode == 0, done.stdout
    assert "accepted by 127.0.0.1" in done.stdout
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize(
    ("home", "well", "words"),
    [
        ("relative", False, "Dagster wants an absolute path"),
        ("{}/nowhere", False, "is no folder → mkdir -p {}/nowhere"),
        ("{}/new", True, "{}/new (new: it knows no run"),
        ("{}/used", True, "{}/used\n"),
        ("{}/of_a_database", True, "{}/of_a_database\n"),
    ],
)
def test_doctor_looks_at_the_home_of_dagster(sandbox, tmp_path, monkeypatch, home, well, words):
    for name in ("new", "used/history", "of_a_database"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "of_a_database" / "dagster.yaml").write_text("storage: {postgres: {}}")
    done = doctor(monkeypatch, sandbox.url, DAGSTER_HOME=home.format(tmp_path))
    assert (done.exit_code == 0) is well and words.format(tmp_path) in done.stdout, done.stdout


def test_doctor_tells_an_empty_store_from_one_that_was_used(sandbox, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    empty = doctor(monkeypatch, sandbox.url, "--store", "data").stdout
    assert f"{tmp_path}/data: write yes, read yes, delete yes (empty" in empty
    (tmp_path / "data" / "street").mkdir()
    (tmp_path / "data" / "street" / "ledger.json").write_text("{}")
    assert "(empty" not in doctor(monkeypatch, sandbox.url, "--store", "data").stdout


def test_doctor_says_what_is_wrong():
    done = command("doctor", url="http://127.0.0.1:9/v1/")
    assert done.returncode == 1
    assert "--  token" in done.stdout and "127.0.0.1" in done.stdout + done.stderr


def test_a_dataset_is_written_for_a_reader_who_has_seen_enough(tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "tasks.jsonl").write_text('{"id": "a", "name": "a.jpg", "width": 9, "height": 9}\n')
    arguments = ["convert", "source", "out", "--from", "fastlabel", "--to", "coco"]
    command = [sys.executable, "-m", "fastlabel_dagster", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
    assert child.returncode == 0
    assert (tmp_path / "out" / "annotations.json").is_file()


def test_a_terminated_conversion_leaves_nothing_behind(tmp_path):
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 9, "height": 9} for n in range(20_000)]
    content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    with zipfile.ZipFile(tmp_path / "coco.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("instances.json", json.dumps(content))
    (tmp_path / "room").mkdir()
    command = [
        sys.executable,
        "-m",
        "fastlabel_dagster",
        "convert",
        "coco.zip",
        "out",
        "--from",
        "coco",
        "--to",
        "yolo",
    ]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "room")}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith(b"read ")  # and now it writes
        assert len(list((tmp_path / "room").iterdir())) == 1
        child.terminate()
        child.stdout.read()
    assert child.returncode == 143
    assert {path.name for path in tmp_path.iterdir()} == {"coco.zip", "room"}
    assert not list((tmp_path / "room").iterdir())


def test_a_dataset_is_converted_on_any_thread(tmp_path):
    """Signals are for the main one."""
    (tmp_path / "tasks.json").write_text("[]")
    arguments = ["convert", str(tmp_path / "tasks.json"), str(tmp_path / "out"), "--from", "fastlabel", "--to", "coco"]
    with ThreadPoolExecutor(1) as other:
        done = other.submit(CliRunner().invoke, main, arguments).result()
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "annotations.json").is_file()


def test_a_dataset_is_written_without_standard_error(tmp_path):
    """A service may have none: `2>&-`."""
    (tmp_path / "tasks.json").write_text("[]")
    command = f'"{sys.executable}" -m fastlabel_dagster convert tasks.json out --from fastlabel --to coco 2>&-'
    subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    assert (tmp_path / "out" / "annotations.json").is_file()


def test_a_reader_that_has_seen_enough_is_no_error():
    command = [sys.executable, "-m", "fastlabel_dagster", "formats"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == b""
