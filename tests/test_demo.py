"""``make demo`` as its command: the loop closes under the real daemon, and nothing but the demo's own folders is ever
removed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from dagster_project.demo import demo as demo_command
from dagster_project.surroundings import Surroundings

ROOT = Path(__file__).parent.parent
#: What a demo may take on a machine with other things to do.
PATIENCE = 600


def command(folder, *arguments, **environment):
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FASTLABEL_", "AWS_", "DAGSTER_"))
    }
    return {
        "args": [sys.executable, "-m", "dagster_project.demo", *map(str, arguments)],
        "cwd": folder,
        "env": {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
        "text": True,
    }


def demo(folder, *arguments, **environment):
    return subprocess.run(
        **command(folder, *arguments, **environment), capture_output=True, check=False, timeout=PATIENCE
    )


def left_of(folder):
    """The processes whose Dagster home lies in ``folder``."""
    left = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"DAGSTER_HOME={folder}".encode() in (process / "environ").read_bytes():
                left.append((process / "cmdline").read_bytes())
        except OSError:
            continue
    return left


def test_two_rounds_of_the_loop_with_daemon_and_webserver(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("not the demo's")
    done = demo(tmp_path, "--tasks", 12)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()

    def said(subject, *words):
        return [line for line in lines if line.strip().startswith(subject) and all(word in line for word in words)]

    assert said("import 8", "sensor fired once → sync")
    assert len(said("approve 4", "sensor fired once", "submitted")) == 2
    assert said("trained", "street-scenes-1 from labels version 1")
    assert said("trained", "street-scenes-2 from labels version 3")
    assert [line.split("gate ")[1].split(":")[0] for line in said("evaluated")] == ["passed", "FAILED"]
    assert len(said("annotated", "by street-scenes-1 → sync → version 2")) == 1
    assert said("sync again", "nothing changed · still version 3")
    assert said("lineage", "complete: 12 assets")
    assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "street-scenes" / "coco" / "annotations.json").is_file()
    assert (tmp_path / "out" / "street-scenes" / "yolo" / "data.yaml").is_file()
    assert left_of(tmp_path) == []

    # what the next demo does first
    Surroundings("street-scenes", "out/street-scenes", tmp_path / ".demo").forget()
    assert not (tmp_path / ".demo").exists()
    assert (tmp_path / "out" / "mine.txt").read_text() == "not the demo's"


def test_outputs_are_forgotten_only_with_the_demos_own_mark(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "out" / "street-scenes" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for project in ("street-scenes", "its-own"):
        here = Surroundings.choose(project, None, None)
        for _ in range(2):
            here.forget()
            here.make()
            here.mark_outputs()
    assert mine.read_text() == "mine"
    (tmp_path / "out" / "its-own" / "coco").mkdir()
    Surroundings.choose("its-own", None, None).forget()
    assert not (tmp_path / "out" / "its-own").exists() and mine.exists()


def test_a_code_location_that_does_not_load_is_one_sentence_with_the_log(tmp_path):
    done = demo(tmp_path, "--tasks", 3, FASTLABEL_SENSOR_SECONDS="0")
    assert done.returncode == 1
    assert "the code-server ended (code 1) before the code location loads" in done.stderr
    log = Path(done.stderr.rsplit("its log: ", 1)[1].strip())
    assert "a sensor looks every second at most" in log.read_text()
    assert "Traceback" not in done.stderr and left_of(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_everything(tmp_path, number):
    process = subprocess.Popen(
        **command(tmp_path, "--tasks", 3), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        until = time.monotonic() + 120
        while not left_of(tmp_path):
            assert process.poll() is None and time.monotonic() < until
            time.sleep(0.1)
        process.send_signal(number)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    assert "interrupted" in error and "Traceback" not in error
    assert left_of(tmp_path) == []


@pytest.mark.parametrize("project", ["..", "../..", ".", "a/b", "a b", "写真", "-x", ""])
def test_a_project_that_is_no_slug_is_refused_before_anything_is_touched(tmp_path, monkeypatch, project):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "precious.txt").write_text("precious")
    data = tmp_path / "写真 (1)"
    data.mkdir()
    wishes = ["--project", project] if project else ["--data", data / "missing"]
    monkeypatch.chdir(tmp_path / "inner")
    done = CliRunner().invoke(demo_command, list(map(str, wishes)))
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit)
    assert done.output.startswith("Error: ")
    assert [path.name for path in (tmp_path / "inner").iterdir()] == ["precious.txt"]


def test_an_unusable_store_is_one_sentence(tmp_path):
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")
    done = demo(tmp_path, "--store", occupied)
    assert done.returncode == 1
    assert "file" in done.stderr and "Traceback" not in done.stderr and occupied.read_text() == "not a folder"


def test_a_bucket_that_is_not_there_is_one_sentence(tmp_path, moto_s3):
    aws = {name: value for name, value in os.environ.items() if name.startswith("AWS_")}
    done = demo(tmp_path, "--store", "s3://no-such-bucket-here/x", **aws)
    assert done.returncode == 1
    assert "no-such-bucket-here" in done.stderr and "Traceback" not in done.stderr
