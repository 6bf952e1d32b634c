"""``fastlabel-dagster sandbox`` and ``fastlabel-dagster seed``."""

from __future__ import annotations

from pathlib import Path

import click

_DATA = click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".sandbox"),
    show_default=True,
    help="Folder that keeps everything the sandbox knows.",
)


@click.command()
@_DATA
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes a free port.")
@click.option(
    "--speed", type=click.FloatRange(0), default=None, help="Clock speed for jobs: 60 makes a minute a second."
)
@click.option("--token", default="sandbox-token", show_default=True, help="The access token clients must send.")
def sandbox(data: Path, host: str, port: int, speed: float | None, token: str) -> None:
    """Run a FastLabel-compatible server to try things on; no account needed."""
    try:
        from fastlabel_dagster.sandbox.server import Sandbox
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error.name} is missing: pip install 'fastlabel-dagster[sandbox]'") from error
    from fastlabel_dagster.sandbox.errors import SandboxError

    try:
        server = Sandbox(data, host=host, port=port, token=token, speed=speed)
        url = server.listen()
    except SandboxError as error:
        raise click.ClickException(str(error)) from error
    counts = server.state.summary()
    held = ", ".join(f"{counts[of]:,} {of if counts[of] != 1 else of[:-1]}" for of in ("projects", "tasks"))
    click.echo(f"sandbox   {server.base}  ({held} in {data})")
    click.echo(f"use it    export FASTLABEL_API_URL={url} FASTLABEL_ACCESS_TOKEN={token}")
    click.echo("stop it   Ctrl-C; everything stays in the data folder")
    server.run()


@click.command()
@_DATA
@click.option(
    "--from",
    "folder",
    type=click.Path(path_type=Path),
    help="Folder of a COCO or YOLO dataset (annotations and images); without it pictures are drawn.",
)
@click.option("--project", help="Slug of the project to make; by default the folder's name, or street-scenes.")
@click.option(
    "--tasks", type=click.IntRange(0), help="How many tasks; by default 240 drawn ones, or the whole dataset."
)
@click.option("--seed", "number", type=int, default=0, show_default=True, help="Another number gives other pictures.")
def seed(data: Path, folder: Path | None, project: str | None, tasks: int | None, number: int) -> None:
    """Fill a sandbox with a project: a real dataset, or pictures it draws itself. Works beside a running server."""
    from fastlabel_dagster.sandbox import seed as seeding
    from fastlabel_dagster.sandbox.errors import Refused, SandboxError
    from fastlabel_dagster.sandbox.state import SandboxState

    try:
        with SandboxState(data) as state:
            report = seeding.seed(state, folder, project, tasks=tasks, seed=number)
    except (SandboxError, Refused) as error:
        raise click.ClickException(str(error)) from error
    click.echo(str(report))
