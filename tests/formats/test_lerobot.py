"""LeRobot v3 data sets as label tables: one robotics task per episode, and nothing but typed errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster import formats
from fastlabel_dagster.formats import FormatError
from fastlabel_dagster.labels import to_fastlabel

TOP, WRIST = "observation.images.top", "observation.images.wrist"
INFO = {
    "codebase_version": "v3.0",
    "fps": 10,
    "splits": {"train": "0:1", "val": "1:2"},
    "features": {
        TOP: {"dtype": "video", "shape": [48, 64, 3], "names": ["height", "width", "channels"]},
        WRIST: {"dtype": "video", "info": {"video.width": 32, "video.height": 24}},
    },
}


def episode(index: Any, length: Any = 5, **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"episode_index": index, "length": length, "tasks": ["つかむ"]}
    for camera in (TOP, WRIST):
        row |= {f"videos/{camera}/chunk_index": 0, f"videos/{camera}/file_index": 0}
        row |= {f"videos/{camera}/from_timestamp": 0.5, f"videos/{camera}/to_timestamp": 1.0}
    return {**row, **fields}


def make(root: Path, *rows: dict[str, Any], info: Any = INFO) -> Path:
    for place in ("meta/episodes/chunk-000", "data/chunk-000", *(f"videos/{one}/chunk-000" for one in (TOP, WRIST))):
        (root / place).mkdir(parents=True)
    (root / "data/chunk-000/file-000.parquet").write_bytes(b"")
    for camera in (TOP, WRIST):
        (root / "videos" / camera / "chunk-000/file-000.mp4").write_bytes(b"film")
    pq.write_table(pa.Table.from_pylist(list(rows)), root / "meta/episodes/chunk-000/file-000.parquet")
    (root / "meta/info.json").write_text(info if isinstance(info, str) else json.dumps(info))
    return root


def test_an_episode_is_a_task(tmp_path) -> None:
    root = make(tmp_path / "data set", episode(1, 3, tasks=["a", "b"]), episode(0))
    content = formats.read(root, format="lerobot")
    first, second = to_fastlabel(content)
    assert {key: value for key, value in first.items() if key not in ("id", "contents")} == {
        "name": "episode_000000",
        "tags": ["train"],
        "fps": 10,
        "frameCount": 5,
        "duration": 0.5,
        "annotations": [],
        "attributes": [{"key": "task", "name": "task", "type": "text", "value": "つかむ"}],
    }
    assert first["contents"] == [
        {
            "name": f"images_{camera}.mp4",
            "url": (root / f"videos/observation.images.{camera}/chunk-000/file-000.mp4").resolve().as_uri(),
            "width": width,
            "height": height,
            "fromTimestamp": 0.5,
            "toTimestamp": 1,
        }
        for camera, width, height in (("top", 64, 48), ("wrist", 32, 24))
    ]
    assert (second["name"], second["tags"], second["frameCount"]) == ("episode_000001", ["val"], 3)
    assert second["attributes"][0]["value"] == ["a", "b"]
    assert (content.report.tasks, content.report.annotations, content.report.dropped) == (2, 0, ())
    again = formats.read(root / "meta/info.json", format="lerobot")
    assert again.tasks.equals(content.tasks)


def test_the_names_are_those_of_the_import(tmp_path) -> None:
    """What ``client.import_lerobot`` makes of the same data set, and what is read here, go by the same names."""
    from fastlabel_dagster.api import LeRobotConverter
    from fastlabel_dagster.lerobot import LeRobotDataset

    root = make(tmp_path / "set", episode(0), episode(7))
    info = {**INFO, "features": {"observation.state": {"names": []}, "action": {"names": []}}}
    converter = LeRobotConverter(info)
    dataset = LeRobotDataset(root, info)
    content = formats.read(root, format="lerobot")
    assert content.tasks["name"].to_pylist() == [converter.build_episode_name(one) for one in sorted(dataset.lengths)]
    assert content.tasks["frame_count"].to_pylist() == [dataset.lengths[one] for one in sorted(dataset.lengths)]
    names = [one["name"] for one in content.tasks["contents"][0].as_py()]
    assert names == [f"{camera.content_name}.mp4" for camera in dataset.cameras]


def test_a_camera_may_miss_an_episode_and_a_video_be_gone(tmp_path) -> None:
    blind = {f"videos/{WRIST}/{part}": None for part in ("chunk_index", "file_index")}
    root = make(tmp_path / "set", episode(0), episode(1, **blind), episode(2, **{f"videos/{TOP}/file_index": 9}))
    content = formats.read(root, format="lerobot")
    contents = content.tasks["contents"].to_pylist()
    assert [[one["name"] for one in of_task] for of_task in contents] == [
        ["images_top.mp4", "images_wrist.mp4"],
        ["images_top.mp4"],
        ["images_top.mp4", "images_wrist.mp4"],
    ]
    assert contents[2][0]["url"] is None
    (note,) = content.report.dropped
    assert (note.type, note.examples) == ("file", (f"videos/{TOP}/chunk-000/file-009.mp4",))


def test_a_link_out_of_the_data_set_is_not_followed(tmp_path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"secret")
    root = make(tmp_path / "set", episode(0))
    video = root / f"videos/{TOP}/chunk-000/file-000.mp4"
    video.unlink()
    video.symlink_to(tmp_path / "secret.mp4")
    content = formats.read(root, format="lerobot")
    assert content.tasks["contents"][0].as_py()[0]["url"] is None
    assert content.report.dropped[0].type == "file"


def test_bad_rows_cost_nothing_else(tmp_path) -> None:
    rows = [
        episode(0.0),
        episode(0.0),
        episode(-1.0),
        episode(0.5),
        episode(None),
        episode(float("nan")),
        episode(1e300),
    ]
    rows.append(episode(2.0, None))
    content = formats.read(make(tmp_path / "set", *rows), format="lerobot")
    assert content.tasks["name"].to_pylist() == ["episode_000000", "episode_000002"]
    assert {note.reason: note.count for note in content.report.dropped} == {
        "its number is not a whole number from 0 on": 5,
        "an episode of this number was there already": 1,
    }
    assert [note.reason for note in content.report.noticed] == ["its length is not known"]


@pytest.mark.parametrize(
    ("info", "row", "reason"),
    [
        ({"splits": {"train": "0-1"}}, {}, "a split"),
        ({"splits": "train"}, {}, "a split"),
        ({"fps": "10"}, {}, "its fps"),
        ({}, {"tasks": [5]}, "what it was told to do"),
        ({}, {f"videos/{TOP}/from_timestamp": "0.5"}, "a time in its video"),
    ],
)
def test_what_is_not_taken_is_told(tmp_path, info, row, reason) -> None:
    report = formats.read(make(tmp_path / "a", episode(0, **row), info=INFO | info), format="lerobot").report
    assert [(note.count, bool(note.examples)) for note in report.noticed if note.reason.startswith(reason)] == [
        (1, True)
    ]
    assert not formats.read(make(tmp_path / "b", episode(0)), format="lerobot").report.noticed


def test_what_the_data_set_holds_beyond_its_episodes_is_told(tmp_path) -> None:
    """As LeRobot itself writes a data set: where things lie and what is counted says nothing new, all else is told."""
    laid = {"data/chunk_index": 0, "data/file_index": 0, "dataset_from_index": 0, "dataset_to_index": 5}
    laid |= {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0, "stats/action/mean": [0.5]}
    info = {
        **INFO,
        **{"codebase_version": "v3.0", "total_episodes": 1, "total_frames": 5, "total_tasks": 1, "chunks_size": 1000},
        **{"data_files_size_in_mb": 100, "video_files_size_in_mb": 200, "data_path": "data/…", "video_path": None},
    }
    counts = {name: {"dtype": "int64", "shape": [1]} for name in ("frame_index", "episode_index", "index")}
    counts |= {"timestamp": {"dtype": "float32"}, "task_index": {"dtype": "int64"}}
    plain = info | {"features": INFO["features"] | counts}
    report = formats.read(make(tmp_path / "plain", episode(0, **laid), info=plain), format="lerobot").report
    assert not (report.noticed or report.dropped or report.altered)

    features = plain["features"] | {
        "action": {"dtype": "float32", "shape": [6]},
        "observation.images.inside": {"dtype": "image", "shape": [48, 64, 3]},
        "observation.images.gone": {"dtype": "video", "shape": [48, 64, 3]},
    }
    said = plain | {"features": features, "robot_type": "so101"}
    root = make(tmp_path / "said", episode(0, **laid, original_episode="7", success=True), info=said)
    report = formats.read(root, format="lerobot").report
    assert {note.reason.split(",")[0]: note.examples for note in report.noticed} == {
        "what the data set says beyond its episodes has no place in FastLabel": ("meta/info.json: robot_type",),
        "what was recorded beside the videos was not read": ("action, observation.images.inside",),
        "columns of its episodes that have no place in FastLabel were not read": (
            "meta/episodes/chunk-000/file-000.parquet: original_episode, success",
        ),
    }
    assert [(note.type, note.count, note.examples) for note in report.dropped] == [
        ("file", 1, ("videos/observation.images.gone",))
    ]


def test_a_data_set_that_does_not_say_what_it_holds_is_asked(tmp_path) -> None:
    root = make(tmp_path / "set", episode(0), info={"fps": 10})
    pq.write_table(pa.table({"index": [1], "action": [[1.0]]}), root / "data/chunk-000/file-000.parquet")
    (note,) = formats.read(root, format="lerobot").report.noticed
    assert note.examples == ("action",)


def test_a_damaged_file_of_episodes_costs_only_its_own(tmp_path) -> None:
    root = make(tmp_path / "set", episode(0))
    (root / "meta/episodes/chunk-000/file-001.parquet").write_bytes(b"PAR1 no")
    pq.write_table(pa.table({"length": [1]}), root / "meta/episodes/chunk-000/file-002.parquet")
    content = formats.read(root, format="lerobot")
    assert len(content.tasks) == 1
    assert [note.type for note in content.report.dropped] == ["file", "file"]


@pytest.mark.parametrize("info", ["", "{", "[]", "7", '{"fps": 1' + "0" * 5000 + "}", "[" * 100_000])
def test_what_info_json_must_be(tmp_path, info) -> None:
    with pytest.raises(FormatError, match=r"info\.json"):
        formats.read(make(tmp_path / "set", episode(0), info=info), format="lerobot")


def test_what_is_no_data_set(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        formats.read(tmp_path / "none", format="lerobot")
    (tmp_path / "episodes.parquet").write_bytes(b"")
    with pytest.raises(FormatError, match=r"folder.*meta/info\.json"):
        formats.read(tmp_path / "episodes.parquet", format="lerobot")
    with pytest.raises(FormatError, match="no LeRobot data set"):
        formats.read(tmp_path, format="lerobot")
    old = tmp_path / "old/data/chunk-000"
    old.mkdir(parents=True)
    (old / "episode_000000.parquet").write_bytes(b"")
    with pytest.raises(FormatError, match="v2"):
        formats.read(tmp_path / "old", format="lerobot")
    root = make(tmp_path / "set", episode(0))
    (root / "videos/elsewhere").mkdir()
    with pytest.raises(FormatError, match="elsewhere"):
        formats.read(root, format="lerobot")
    bare = make(tmp_path / "bare", episode(0))
    (bare / "meta/episodes/chunk-000/file-000.parquet").unlink()
    with pytest.raises(FormatError, match="meta/episodes"):
        formats.read(bare, format="lerobot")


ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(), st.sampled_from(["0:1", ":", "a:b", "width"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["fps", "splits", "features", TOP, "info", "shape", "names", "video.width", "train", ""]),
            inner,
        ),
    ),
    max_leaves=10,
)
COLUMNS = st.dictionaries(
    st.sampled_from(["episode_index", "length", "tasks", f"videos/{TOP}/chunk_index", f"videos/{TOP}/file_index", "x"]),
    st.sampled_from([[0], [1.5], [None], ["a"], [b"\xff"], [[["x"]]], [[1]], [True], [2**62], [float("nan")]]),
    min_size=1,
)


@settings(max_examples=80, deadline=None)
@given(ANY, COLUMNS, st.integers(0, 3000))
def test_whatever_the_files_hold_the_reader_reports(tmp_path_factory, info, columns, cut) -> None:
    root = make(tmp_path_factory.mktemp("fuzz") / "set", episode(0), info=info)
    pq.write_table(pa.table(columns), root / "meta/episodes/chunk-000/file-001.parquet")
    whole = (root / "meta/episodes/chunk-000/file-000.parquet").read_bytes()
    (root / "meta/episodes/chunk-000/file-002.parquet").write_bytes(whole[:cut] + b"\xff" + whole[cut + 1 :])
    try:
        content = formats.read(root, format="lerobot")
    except FormatError:
        assert not isinstance(info, dict)
        return
    assert content.report.tasks == len(list(to_fastlabel(content))) >= 1
