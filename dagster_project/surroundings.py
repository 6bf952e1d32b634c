"""Where the demo and the dev server keep their things, and the environment the code location reads.

Both share one sandbox and one Dagster home below ``.demo/``, so that ``make dev`` shows the runs ``make demo`` made.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

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
"""

#: Names the output folders that demos have made, a line each.
OUTPUTS_NOTE = Path("out/.made-by-make-demo")


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
        """Create the folders, and Dagster's own settings file."""
        self.sandbox.mkdir(parents=True, exist_ok=True)
        self.dagster_home.mkdir(parents=True, exist_ok=True)
        settings = self.dagster_home / "dagster.yaml"
        if not settings.exists():
            settings.write_text(DAGSTER_YAML, encoding="utf-8")

    @property
    def outputs_are_ours(self) -> bool:
        """Whether an earlier demo made the folder ``store`` (and so may remove it)."""
        return self.store in _noted()

    def note_outputs(self) -> None:
        """Remember that the demo makes the folder ``store``."""
        OUTPUTS_NOTE.parent.mkdir(parents=True, exist_ok=True)
        OUTPUTS_NOTE.write_text("".join(f"{store}\n" for store in sorted({*_noted(), self.store})), encoding="utf-8")

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


def _noted() -> list[str]:
    return OUTPUTS_NOTE.read_text(encoding="utf-8").splitlines() if OUTPUTS_NOTE.exists() else []


def port_is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on ``host:port`` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
