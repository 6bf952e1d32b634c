"""``make demo`` as its command: the loop works, twice, and nothing but the demo's own folders is ever removed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def demo(folder, *arguments, **environment):
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("FASTLABEL_", "AWS_", "DAGSTER_"))
    }
    return subprocess.run(
        [sys.executable, "-m", "dagster_project.demo", *map(str, arguments)],
        cwd=folder,
        env={**kept, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_the_whole_loop_and_a_second_demo(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("not the demo's")
    for _ in range(2):
        done = demo(tmp_path, "--tasks", 12)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert any("sensor fired once" in line for line in lines)
        assert any("trained" in line and "from labels version 1" in line for line in lines)
        assert any("sync again" in line and "nothing changed" in line for line in lines)
        assert "Traceback" not in done.stderr
    assert (tmp_path / "out" / "street-scenes" / "coco" / "annotations.json").is_file()
    assert (tmp_path / "out" / "street-scenes" / "yolo" / "data.yaml").is_file()
    assert (tmp_path / "out" / "mine.txt").read_text() == "not the demo's"


def test_a_store_that_was_there_before_is_kept(tmp_path):
    mine = tmp_path / "out" / "street-scenes" / "notes.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    for _ in range(2):
        assert demo(tmp_path, "--tasks", 5).returncode == 0
    assert mine.read_text() == "mine"


@pytest.mark.parametrize("project", ["..", "../..", ".", "a/b", "a b", "写真", "-x", ""])
def test_a_project_that_is_no_slug_is_refused_before_anything_is_touched(tmp_path, project):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "precious.txt").write_text("precious")
    data = tmp_path / "写真 (1)"
    data.mkdir()
    wishes = ["--project", project] if project else ["--data", data / "missing"]
    for _ in range(2):
        done = demo(tmp_path / "inner", *wishes)
        assert done.returncode == 1
        assert done.stderr.startswith("Error: ") and "Traceback" not in done.stderr
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
