"""Robot episodes of a LeRobot data set (v3) as robotics tasks: what is taken of each, and in which order it is sent.

Reading Parquet files and cutting videos is not this floor's work; it is done by `fastlabel_dagster.lerobot`, which lies
above and is looked up by its name when an import begins.
"""

from __future__ import annotations

import pkgutil
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, Protocol

from fastlabel_dagster.api.errors import FastLabelError, Invalid
from fastlabel_dagster.api.wire import Json, Jsons

Frame = dict[str, Any]
"""One moment of an episode: a value, or a list of them, per column."""

READER: Final = "fastlabel_dagster.lerobot:LeRobotDataset"


class Camera(NamedTuple):
    """One camera of a data set.

    Attributes:
        path: the folder of its videos.
        key: its feature, e.g. `observation.images.top`.
        content_name: what its video is called in FastLabel, without the ending, e.g. `images_top`.
    """

    path: Path
    key: str
    content_name: str


class LeRobotConverter:
    """What is taken of a data set. Override what you need, and pass the class on; it is made once per import.

    ```python
    class LeftArm(LeRobotConverter):
        CAMERA_KEYS = ("top", "wrist_left")

        def select_action_names(self, names):
            return [name for name in names if name.startswith("left_")]

    client.import_lerobot("robots", "data/pick-and-place", converter=LeftArm)
    ```

    Args:
        meta: what stands in the data set's `meta/info.json`. It must name the values of `observation.state` and
            `action` (`features[...]["names"]`).

    Raises:
        Invalid: (422) when it does not, or a name that is to be taken is not among them.
    """

    OBSERVATION_STATE_NAMES: ClassVar[tuple[str, ...] | None] = None
    """Names of the state's values to take; None takes all."""
    ACTION_NAMES: ClassVar[tuple[str, ...] | None] = None
    """Names of the action's values to take; None takes all."""
    CAMERA_KEYS: ClassVar[tuple[str, ...] | None] = None
    """Cameras to take, by the last part of their key (`top`); None takes all."""

    def __init__(self, meta: dict[str, Any] | None = None) -> None:
        self.meta: dict[str, Any] = meta or {}
        self._state = self._places("observation.state", self.select_observation_state_names)
        self._action = self._places("action", self.select_action_names)

    def select_observation_state_names(self, names: list[str]) -> list[str]:
        """Which of the state's values to take, of all their names in order."""
        return list(self.OBSERVATION_STATE_NAMES or names)

    def select_action_names(self, names: list[str]) -> list[str]:
        """Which of the action's values to take, of all their names in order."""
        return list(self.ACTION_NAMES or names)

    def build_observation_state(self, frame: Frame) -> list[Any]:
        """The state's values at one moment."""
        return _chosen(frame, "observation.state", self._state)

    def build_action(self, frame: Frame) -> list[Any]:
        """The action's values at one moment."""
        return _chosen(frame, "action", self._action)

    def build_telemetry_frame(self, frame: Frame) -> dict[str, Any]:
        """What is sent of one moment; call `super()` and add what else your data hold."""
        return {
            "observation.state": self.build_observation_state(frame),
            "action": self.build_action(frame),
            "frame_index": int(frame["frame_index"]),
            "timestamp": float(frame["timestamp"]),
        }

    def select_cameras(self, cameras: list[Camera]) -> list[Camera]:
        """Which cameras' videos to take."""
        keys = self.CAMERA_KEYS
        return cameras if keys is None else [camera for camera in cameras if camera.key.split(".")[-1] in keys]

    def build_task_kwargs(self, *, episode_index: int, episode_name: str, frames: list[Frame]) -> dict[str, Any]:
        """Further arguments for making the episode's task, e.g. `{"tags": ["night"]}`."""
        return {}

    def select_episodes(self, episode_lengths: dict[int, int]) -> list[int]:
        """Which episodes to take when the import names none, of the number of frames of each."""
        return sorted(episode_lengths)

    def build_episode_name(self, episode_index: int) -> str:
        """The name of an episode's task, and of the files that are sent with it."""
        return f"episode_{episode_index:06d}"

    def _places(self, key: str, select: Callable[[list[str]], list[str]]) -> list[int]:
        try:
            names: list[str] = self.meta["features"][key]["names"]
        except (KeyError, TypeError):
            raise Invalid(f"'{key}.names' not found in meta/info.json.", status=422) from None
        place = {name: number for number, name in enumerate(names)}
        chosen = select(names)
        for name in chosen:
            if name not in place:
                raise Invalid(f"'{name}' not found in '{key}.names'.", status=422)
        return [place[name] for name in chosen]


def _chosen(frame: Frame, key: str, places: Sequence[int]) -> list[Any]:
    if key not in frame:
        raise KeyError(f"the episodes have no column {key!r}, which meta/info.json names; they have {sorted(frame)}")
    values = frame[key]
    if places and max(places) >= len(values):
        raise IndexError(f"{key!r} has {len(values)} values in the episodes, fewer than meta/info.json names")
    return [values[place] for place in places]


class EpisodeReader(Protocol):
    """A data set, opened for reading; see `fastlabel_dagster.lerobot.LeRobotDataset`."""

    @property
    def lengths(self) -> dict[int, int]:
        """The number of frames of every episode."""

    @property
    def cameras(self) -> list[Camera]:
        """All cameras, by name."""

    def frames(self, episode: int) -> list[Frame]:
        """All moments of an episode."""

    def write_zip(
        self, episode: int, name: str, cameras: Iterable[Camera], telemetry: Sequence[Mapping[str, Any]], folder: Path
    ) -> Path:
        """The zip that FastLabel imports: a video per camera, and the telemetry."""


def import_lerobot(
    data: str | Path,
    episode_indices: Sequence[int] | None,
    converter: Callable[[dict[str, Any]], Any],
    *,
    create: Callable[..., Any],
    upload: Callable[[Path], Any],
) -> Jsons:
    """Make a task of each episode, and send its videos and telemetry after it.

    The zip is made before the task, so that an episode that cannot be read leaves no empty task behind.

    Args:
        create: makes a robotics task; takes its name and the converter's further arguments.
        upload: sends a zip.

    Returns:
        Per episode `episode_index`, `episode` (its name), `success`, and as `result` the API's answer or an `error`.

    Raises:
        Invalid: (422) for a data set that is not LeRobot v3, or does not name its values; nothing is sent then.
        KeyError, IndexError: when the episodes hold less than `meta/info.json` says.
    """
    open_dataset = pkgutil.resolve_name(READER)
    info: dict[str, Any] = open_dataset.info(Path(data))
    chosen = converter(info)
    dataset: EpisodeReader = open_dataset(Path(data), info)
    indices = chosen.select_episodes(dataset.lengths) if episode_indices is None else episode_indices
    results: list[Json] = []
    for index in indices:
        name = None
        try:
            name = chosen.build_episode_name(index)
            frames = dataset.frames(index)
            further = chosen.build_task_kwargs(episode_index=index, episode_name=name, frames=frames) or {}
            with tempfile.TemporaryDirectory(prefix="fastlabel-lerobot-") as folder:
                telemetry = [chosen.build_telemetry_frame(frame) for frame in frames]
                cameras = chosen.select_cameras(dataset.cameras)
                file = dataset.write_zip(index, name, cameras, telemetry, Path(folder))
                create(name, **further)
                result = upload(file)
        except FastLabelError as error:
            # One episode that is refused must not keep the others from being imported; the caller is told.
            results.append({"episode_index": index, "episode": name, "success": False, "result": {"error": str(error)}})
        else:
            results.append({"episode_index": index, "episode": name, "success": True, "result": result})
    return results
