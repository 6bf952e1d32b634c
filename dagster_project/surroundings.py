"""Where the demo and the dev server keep their things, and the environment the code location reads.

Both share one sandbox and one Dagster home below ``.demo/``, so that ``make dev`` shows the runs ``make demo`` made.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from fastlabel_dagster.sandbox.dataset_folder import project_name

DAGSTER_YAML = """\
# Made by `make demo` and `make dev`; see docker/dagster.yaml for a deployment.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  pools:
    granularity: op
    default_limit: 1
run_coordinator:
  module: dagster.core.run_coordinator
  class: QueuedRunCoordinator
  config:
    dequeue_interval_seconds: 1
"""

DRAWN_PROJECT = "street-scenes"
OUTPUTS = Path("out")
LEAST_FREE = 200_000_000
OUTPUTS_MARK = ".made-by-make-demo"
_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Surroundings:
    """One demo: which project, where its labels go, and the folders that belong to it alone."""

    project: str
    store: str
    home: Path = Path(".demo")

    @property
    def sandbox(self) -> Path:
        """The sandbox's database and files."""
        return (self.home / "sandbox").absolute()

    @property
    def dagster_home(self) -> Path:
        """Runs, events and sensor cursors of the demo."""
        return (self.home / "dagster").absolute()

    def make(self) -> None:
        """Create the folders, and Dagster's own settings file. Raises OSError, also when the disk is all but full."""
        free = shutil.disk_usage(self.home.parent).free
        if free < LEAST_FREE:
            raise OSError(f"{LEAST_FREE / 1e6:.0f} MB of free disk are needed here, {free / 1e6:.0f} MB are free")
        self.sandbox.mkdir(parents=True, exist_ok=True)
        self.dagster_home.mkdir(parents=True, exist_ok=True)
        settings = self.dagster_home / "dagster.yaml"
        if not settings.exists():
            settings.write_text(DAGSTER_YAML, encoding="utf-8")

    @classmethod
    def choose(cls, project: str | None, data: Path | None, store: str | None) -> Surroundings:
        """The surroundings for these wishes: a project is named like its data, outputs lie in ``out/PROJECT``.

        Raises ValueError, before anything touches the disk, for a data folder that is not there or a project slug
        that FastLabel would not take (and that could lead elsewhere as a folder name).
        """
        if data is not None and not data.is_dir():
            raise ValueError(f"DATA={data}: no such folder; name one with a COCO or YOLO dataset in it")
        slug = project or (project_name(data) if data else DRAWN_PROJECT)
        if not _SLUG.fullmatch(slug):
            raise ValueError(f"PROJECT={slug}: a project slug consists of letters, digits, hyphen and underscore")
        return cls(project=slug, store=store or str(OUTPUTS / slug))

    @property
    def _own_outputs(self) -> Path | None:
        """The output folder where it is the default one, directly below ``out/``."""
        folder = Path(self.store)
        return folder if folder.parent == OUTPUTS and folder.name == self.project else None

    def forget(self) -> None:
        """Remove what an earlier demo made: its sandbox, its runs, and outputs that carry its mark. Nothing else."""
        outputs = self._own_outputs
        if outputs is not None and (outputs / OUTPUTS_MARK).is_file():
            shutil.rmtree(outputs)
        if self.home.exists():
            shutil.rmtree(self.home)

    def mark_outputs(self) -> None:
        """Leave the mark by which a later demo may remove the outputs; only in a default folder that is new."""
        outputs = self._own_outputs
        if outputs is not None and not outputs.exists():
            outputs.mkdir(parents=True)
            (outputs / OUTPUTS_MARK).write_text("`make demo` made this folder and may remove it.\n", encoding="utf-8")

    def enter(self, sandbox_url: str, retrain_every: int | None = None) -> None:
        """Set the environment variables ``dagster_project.definitions`` reads: this project, this store, this
        sandbox."""
        os.environ.pop("FASTLABEL_ACCESS_TOKEN", None)
        os.environ.pop("FASTLABEL_API_URL", None)
        os.environ["FASTLABEL_SANDBOX_URL"] = sandbox_url
        os.environ["FASTLABEL_PROJECT"] = self.project
        os.environ["FASTLABEL_STORE"] = self.store
        if retrain_every is not None:
            os.environ["FASTLABEL_RETRAIN_EVERY"] = str(retrain_every)
        os.environ["DAGSTER_HOME"] = str(self.dagster_home)


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on ``host:port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
