"""LeRobot data sets: the official SDK and ours import the same one, and the same arrives."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.api import Camera, FastLabelClient, Invalid, LeRobotConverter

cv2 = pytest.importorskip("cv2")
np = pytest.importorskip("numpy")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

STATE, ACTION = ["left.pos", "right.pos", "grip"], ["left", "right"]
LENGTHS = [5, 3, 4]


def pick_class(base: type) -> type:
    """The same converter on top of the SDK's class and of ours."""

    class Pick(base):  # type: ignore[misc]
        CAMERA_KEYS = ("top",)
        ACTION_NAMES = ("right",)

        def select_observation_state_names(self, names: list[str]) -> list[str]:
            return [name for name in names if name.endswith(".pos")]

        def select_episodes(self, episode_lengths: dict[int, int]) -> list[int]:
            return [index for index, length in episode_lengths.items() if length > 3]

        def build_task_kwargs(self, *, episode_index: int, episode_name: str, frames: list[Any]) -> dict[str, Any]:
            return {"tags": [f"{len(frames)} frames"], "priority": 10, "assignee": "a"}

        def build_episode_name(self, episode_index: int) -> str:
            return f"エピソード {episode_index}"

        def build_telemetry_frame(self, frame: dict[str, Any]) -> dict[str, Any]:
            return {**super().build_telemetry_frame(frame), "done": frame["next.done"], "task": frame["task"]}

    return Pick


CASES: list[tuple[str, dict[str, Any]]] = [
    ("import_lerobot", {}),
    ("import_lerobot", {"episode_indices": [2, 0]}),
    ("import_lerobot", {"episode_indices": []}),
    ("import_lerobot", {"episode_indices": [7, 1]}),
    ("import_lerobot", {"converter": pick_class}),
]


def video(path: Path, shades: list[int]) -> None:
    path.parent.mkdir(parents=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for shade in shades:
        writer.write(np.full((48, 64, 3), shade, np.uint8))
    writer.release()


def table(path: Path, rows: list[dict[str, Any]], types: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = {name: pa.array([row[name] for row in rows], types.get(name)) for name in rows[0]}
    pq.write_table(pa.table(columns), path)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Three episodes in two data files; the videos of two cameras are packed otherwise."""
    root = tmp_path / "pick and place"
    frames: list[dict[str, Any]] = [
        {
            "observation.state": [episode + moment / 8, 0.5, 1.0],
            "action": [0.25, moment],
            "frame_index": moment,
            "timestamp": moment / 10,
            "episode_index": episode,
            "next.done": moment == length - 1,
            "task": "つかむ",
        }
        for episode, length in enumerate(LENGTHS)
        for moment in range(length)
    ]
    floats = pa.list_(pa.float32())
    types = {"observation.state": floats, "action": floats, "timestamp": pa.float32(), "frame_index": pa.int64()}
    table(root / "data/chunk-000/file-000.parquet", [row for row in frames if row["episode_index"] < 2], types)
    table(root / "data/chunk-000/file-001.parquet", [row for row in frames if row["episode_index"] == 2], types)
    cameras = ["observation.images.top", "observation.images.wrist"]
    starts = [0.0, 0.5, 0.8]
    episodes = [
        {"episode_index": number, "length": length, "data/chunk_index": 0, "data/file_index": int(number == 2)}
        | {f"videos/{camera}/{part}": 0 for camera in cameras for part in ("chunk_index", "file_index")}
        | {f"videos/{camera}/from_timestamp": starts[number] for camera in cameras}
        | {f"videos/{camera}/to_timestamp": starts[number] + length / 10 for camera in cameras}
        for number, length in enumerate(LENGTHS)
    ]
    table(root / "meta/episodes/chunk-000/file-000.parquet", episodes, {})
    features = {"observation.state": {"names": STATE}, "action": {"names": ACTION}}
    (root / "meta/info.json").write_text(json.dumps({"fps": 10, "features": features}))
    for number, camera in enumerate(cameras):
        video(root / "videos" / camera / "chunk-000/file-000.mp4", [20 * n + 5 * number for n in range(12)])
    return root


@pytest.fixture
def sides(server: Any, reply: Any, client: FastLabelClient, token: str, monkeypatch: Any) -> Any:
    """Both clients, each with its own converter class."""
    fastlabel = pytest.importorskip("fastlabel")
    pytest.importorskip("pandas")
    from fastlabel.lerobot import LeRobotConverter as Theirs

    monkeypatch.setenv("FASTLABEL_API_URL", server.url)
    signed = {"url": f"{server.base}/put", "name": "key"}
    server.answer = lambda seen: reply(
        signed if "files" in seen.path else "id" if "tasks" in seen.path else ["history"]
    )
    return [(fastlabel.Client(access_token=token), Theirs), (client, LeRobotConverter)]


def opened(body: bytes, kind: str) -> Any:
    """What lies in an uploaded zip: texts as they are, videos by the brightness of each frame."""
    form: Any = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    (part,) = form.get_payload()
    content = part.get_payload(decode=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return part["Content-Disposition"], {
            name: seen_in(archive.read(name)) if name.endswith(".mp4") else json.loads(archive.read(name))
            for name in sorted(archive.namelist())
        }


def seen_in(content: bytes) -> list[int]:
    import tempfile

    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        file.write(content)
        file.flush()
        source = cv2.VideoCapture(file.name)
        shades = []
        while (frame := source.read())[0]:
            shades.append(round(float(frame[1].mean())))
        source.release()
    return shades


def imported(target: Any, server: Any, call: Callable[[], Any]) -> Any:
    server.seen.clear()
    try:
        result = call()
    except ValueError as error:
        result = ("refused", getattr(error, "message", None), getattr(error, "code", getattr(error, "status", None)))
    sent = []
    for seen in server.seen:
        kind = seen.headers["Content-Type"]
        body = opened(seen.body, kind) if kind.startswith("multipart") else seen.json
        sent.append((seen.method, seen.path, sorted(seen.params), body))
    return result, sent


def without_texts(result: Any) -> Any:
    """Results, but for the words of errors."""
    if not isinstance(result, list):
        return result
    return [one if one["success"] else {**one, "result": sorted(one["result"])} for one in result]


@pytest.mark.parametrize("arguments", [arguments for _, arguments in CASES])
def test_the_same_arrives(arguments: dict[str, Any], sides: Any, server: Any, dataset: Path) -> None:
    outcomes = []
    for target, base in sides:
        given = {key: value(base) if key == "converter" else value for key, value in arguments.items()}
        outcomes.append(
            imported(
                target, server, lambda given=given, target=target: target.import_lerobot("p", str(dataset), **given)
            )
        )
    (theirs, sent), (ours, our_sent) = outcomes
    assert our_sent == sent
    assert without_texts(ours) == without_texts(theirs)


def test_both_faces(client: FastLabelClient, sides: Any, server: Any, dataset: Path) -> None:
    one = imported(client, server, lambda: client.import_lerobot("p", dataset))
    other = imported(client, server, lambda: client.robotics_tasks.import_lerobot("p", dataset))
    assert one == other
    assert [result["episode"] for result in one[0]] == ["episode_000000", "episode_000001", "episode_000002"]
    assert [request[1] for request in one[1][:4]] == [
        "/v1/tasks/robotics",
        "/v1/files",
        "/put",
        "/v1/contents/imports/robotics-contents/batch",
    ]
    _, files = one[1][6][3]
    assert sorted(files) == ["episode_000001.json", "images_top.mp4", "images_wrist.mp4"]
    assert len(files["images_top.mp4"]) == LENGTHS[1]
    assert files["episode_000001.json"][2]["observation.state"] == [1.25, 0.5, 1.0]


def test_a_converter_of_the_sdk_serves_as_well(client: FastLabelClient, sides: Any, server: Any, dataset: Path) -> None:
    ours, theirs = (
        imported(client, server, lambda kind=kind: client.import_lerobot("p", dataset, converter=pick_class(kind)))
        for kind in (LeRobotConverter, sides[0][1])
    )
    assert ours == theirs


def test_what_is_no_such_data_set(sides: Any, server: Any, dataset: Path) -> None:
    def both(said: str) -> None:
        for target, _ in sides:
            result, sent = imported(target, server, lambda target=target: target.import_lerobot("p", str(dataset)))
            assert result[0] == "refused"
            assert result[2] == 422
            assert not sent
            if target is sides[1][0]:
                assert said in result[1]

    info = (dataset / "meta/info.json").read_text()
    (dataset / "meta/info.json").unlink()
    both("'observation.state.names' not found in meta/info.json.")
    (dataset / "meta/info.json").write_text(info.replace('"action"', '"other"'))
    both("'action.names' not found in meta/info.json.")
    (dataset / "meta/info.json").write_text(info)
    (dataset / "meta/episodes").rename(dataset / "meta/elsewhere")
    both("has no meta/episodes")
    for file in (dataset / "data").glob("*/*.parquet"):
        file.rename(file.with_name(file.name.replace("file-", "episode_")))
    both("LeRobot dataset v2 is not supported. Please convert to v3.")
    (dataset / "data").rename(dataset / "elsewhere")
    both("is no LeRobot data set")


def test_an_episode_that_fails_leaves_no_empty_task(
    client: FastLabelClient, sides: Any, server: Any, dataset: Path
) -> None:
    (dataset / "videos/observation.images.top/chunk-000/file-000.mp4").write_bytes(b"no video")
    result, sent = imported(client, server, lambda: client.import_lerobot("p", dataset, [0]))
    assert [one["success"] for one in result] == [False]
    assert not sent
    (dataset / "videos/observation.images.top/chunk-000/file-000.mp4").unlink()
    result, sent = imported(client, server, lambda: client.import_lerobot("p", dataset, [0]))
    assert [one["success"] for one in result] == [True]
    assert sorted(sent[2][3][1]) == ["episode_000000.json", "images_wrist.mp4"]


def test_names_stay_in_their_folder(client: FastLabelClient, sides: Any, server: Any, dataset: Path) -> None:
    class Away(LeRobotConverter):
        def build_episode_name(self, episode_index: int) -> str:
            return "../away"

    result, sent = imported(client, server, lambda: client.import_lerobot("p", dataset, [0], Away))
    assert "cannot be called" in result[0]["result"]["error"]
    assert not sent


def test_a_name_that_is_not_there(tmp_path: Path) -> None:
    class Wrong(LeRobotConverter):
        ACTION_NAMES = ("elbow",)

    with pytest.raises(Invalid, match="'elbow' not found in"):
        Wrong({"features": {"observation.state": {"names": STATE}, "action": {"names": ACTION}}})
    converter = LeRobotConverter({"features": {"observation.state": {"names": STATE}, "action": {"names": ACTION}}})
    with pytest.raises(KeyError, match="no column 'action'"):
        converter.build_action({})
    with pytest.raises(IndexError, match="fewer than"):
        converter.build_action({"action": [1]})
    camera = Camera(tmp_path, "observation.images.top", "images_top")
    assert converter.select_cameras([camera]) == [camera]
