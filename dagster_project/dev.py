"""``make dev``: the sandbox and the Dagster UI on loopback, ready to click.

Continues where ``make demo`` stopped (same sandbox, same Dagster home); seeds a sandbox of its own when there is none.
Ctrl-C ends both.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click

from dagster_project.surroundings import Surroundings, port_is_free
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.seed import seed_dataset, seed_drawn


@click.command()
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--sandbox-port", default=8765, show_default=True, help="Port of the sandbox.")
@click.option("--data", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A COCO or YOLO folder.")
@click.option("--store", help="Folder or s3://bucket/prefix for the outputs [default: out/PROJECT].")
@click.option("--project", help="Project slug [default: street-scenes, or the data folder's name].")
@click.option("--speed", default=60.0, show_default=True, help="How fast the sandbox's clock runs: jobs take minutes.")
def dev(
    *, port: int, sandbox_port: int, data: Path | None, store: str | None, project: str | None, speed: float
) -> None:
    """Run the sandbox and ``dagster dev`` until Ctrl-C."""
    for name, number, option in (("Dagster UI", port, "PORT"), ("sandbox", sandbox_port, "SANDBOX_PORT")):
        if not port_is_free(number):
            raise click.ClickException(f"port {number} (for the {name}) is taken; choose another with {option}=…")
    try:
        here = Surroundings.choose(project, data, store)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    here.make()
    with Sandbox(here.sandbox, port=sandbox_port, speed=speed) as sandbox:
        state, slug = sandbox.state, here.project
        seeded = seed_dataset(state, data, project=slug) if data else seed_drawn(state, project=slug)
        click.echo(f"project   {seeded}")
        here.enter(sandbox.url)
        click.echo(f"sandbox   {sandbox.base}  (token {sandbox.token})")
        click.echo(f"dagster   http://127.0.0.1:{port}")
        raise SystemExit(_dagster_dev(port))


def _dagster_dev(port: int) -> int:
    """Run ``dagster dev`` as a child in our environment; it and the servers it starts end with us.

    The child leads a process group of its own: Ctrl-C reaches only us, and we end the group in order.
    """
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())  # before the child: it must not inherit an ignored SIGINT
    command = [sys.executable, "-m", "dagster", "dev", "--workspace", "workspace.yaml"]
    child = subprocess.Popen(  # noqa: S603 - our own command line
        [*command, "--host", "127.0.0.1", "--port", str(port)], start_new_session=True
    )
    while child.poll() is None and not stopped.wait(0.2):
        pass
    code = child.poll()
    if code is None:
        child.send_signal(signal.SIGINT)  # dagster dev ends its own servers
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(timeout=15)
    with contextlib.suppress(ProcessLookupError):  # nothing of the group is left
        os.killpg(child.pid, signal.SIGKILL)
    return 0 if code is None else code


if __name__ == "__main__":
    dev()
