"""The ``fastlabel-dagster`` command: the same work as the assets, from a shell, without a Dagster instance.

Every command loads only what it needs, and ends with a sentence and exit code 1 where a user can do something about it.
"""

from __future__ import annotations

import importlib
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fastlabel_dagster.store import S3Options

_COMMANDS_ELSEWHERE = {
    "sandbox": ("fastlabel_dagster.sandbox.commands", "sandbox"),
    "seed": ("fastlabel_dagster.sandbox.commands", "seed"),
    "doctor": ("fastlabel_dagster.doctor", "doctor"),
}


class _Commands(click.Group):
    """A group that loads a command's module only when that command is asked for, and says errors in one line."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_COMMANDS_ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS_ELSEWHERE:
            module, name = _COMMANDS_ELSEWHERE[cmd_name]
            command: click.Command = getattr(importlib.import_module(module), name)
            return command
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        from fastlabel_dagster.api import FastLabelError

        try:
            return super().invoke(ctx)
        except (FastLabelError, OSError, ValueError, LookupError) as error:
            if isinstance(error, BrokenPipeError):
                raise  # whoever read what we print (`| head`) has seen enough; click ends quietly
            if isinstance(error, (KeyError, IndexError)):
                raise  # these name no remedy: a bug of ours, to be seen whole
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="fastlabel-dagster", prog_name="fastlabel-dagster")
def main() -> None:
    """Annotation data in Dagster: sync FastLabel projects, convert labels, try it all in a sandbox."""


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM (`kill`, `timeout`, a service that stops) ends the work as Ctrl-C does: half-written and
    unpacked files go too. Signals are for the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


def _s3_options(command: Callable[..., None]) -> Callable[..., None]:
    """``--s3-endpoint`` and ``--s3-region``, for stores that are not on AWS; credentials come from boto3's chain."""
    command = click.option("--s3-endpoint", metavar="URL", help="S3 server other than AWS.")(command)
    return click.option("--s3-region", metavar="NAME", help="S3 region.")(command)


def _s3(endpoint: str | None, region: str | None) -> S3Options:
    from fastlabel_dagster.store import S3Options

    return S3Options(endpoint_url=endpoint, region=region)


@main.command()
@click.argument("project")
@click.argument("store")
@click.option("--images/--no-images", default=True, show_default=True, help="Download the files of the tasks as well.")
@click.option("--confirm/--no-confirm", default=True, show_default=True, help="Read until a pass sees nothing new.")
@click.option("--take-over", is_flag=True, help="Let PROJECT take the place of another one of this slug in STORE.")
@_s3_options
def sync(
    *,
    project: str,
    store: str,
    images: bool,
    confirm: bool,
    take_over: bool,
    s3_endpoint: str | None,
    s3_region: str | None,
) -> None:
    """Mirror PROJECT (a slug) into STORE (a folder or s3://bucket/prefix).

    The token is read from FASTLABEL_ACCESS_TOKEN. Only what changed since the last sync is written.
    """
    from fastlabel_dagster.api import FastLabelClient
    from fastlabel_dagster.store import open_store
    from fastlabel_dagster.sync import download_images, refuse_foreign_images, sync_project

    place = open_store(store, _s3(s3_endpoint, s3_region))
    with FastLabelClient() as client:
        if images:
            refuse_foreign_images(place)  # before the labels are read, which may take minutes
        click.echo(str(sync_project(client, project, place, confirm=confirm, take_over=take_over, progress=True)))
        if images:
            click.echo(str(download_images(client, project, place, progress=True)))


@main.command()
@click.argument("store")
@click.argument("before", type=int, required=False)
@click.argument("after", type=int, required=False)
@click.option("--rows", default=20, show_default=True, help="How many changes to list.")
@_s3_options
def diff(
    *, store: str, before: int | None, after: int | None, rows: int, s3_endpoint: str | None, s3_region: str | None
) -> None:
    """What changed in the labels of STORE between versions BEFORE and AFTER (default: the newest two)."""
    from fastlabel_dagster.store import open_store
    from fastlabel_dagster.sync import LabelMirror

    mirror = LabelMirror(open_store(store, _s3(s3_endpoint, s3_region)).at("labels"))
    versions = [version.version for version in mirror.versions()]
    after = mirror.version if after is None else after
    before = max((version for version in versions if version < after), default=after) if before is None else before
    changes = mirror.diff(before, after)
    click.echo(f"version {before} → {after}: {changes}")
    for row in changes.table.slice(0, rows).to_pylist():
        told = {key: value for key, value in row.items() if value is not None and key != "task_id"}
        click.echo("  " + "  ".join(f"{key}={value}" for key, value in told.items()))
    if changes.table.num_rows > rows:
        click.echo(f"  … and {changes.table.num_rows - rows:,} more (--rows)")


@main.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.argument("target")
@click.option("--from", "source_format", required=True, metavar="FORMAT", help="What SOURCE is.")
@click.option("--to", "target_format", required=True, metavar="FORMAT", help="What to write.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Of the format written; repeatable.")
@click.option("--read-option", "read_options", multiple=True, metavar="NAME=VALUE", help="Of the format read.")
@click.option("--strict", is_flag=True, help="Anything that would be left out is an error; nothing is written.")
@click.option("--pictures/--no-pictures", default=True, show_default=True, help="Bring the pictures of SOURCE along.")
@click.option("--archive", type=click.Choice(["zip", "tar"]), help="Files in a few archives rather than one by one.")
@click.option(
    "--shard-mb", type=click.IntRange(min=1), default=1024, show_default=True, help="How large an archive grows, in MB."
)
@click.option("--replace", is_flag=True, help="Replace TARGET even where it holds files that no export has written.")
@_s3_options
def convert(
    *,
    source: Path,
    target: str,
    source_format: str,
    target_format: str,
    options: tuple[str, ...],
    read_options: tuple[str, ...],
    strict: bool,
    pictures: bool,
    archive: str | None,
    shard_mb: int,
    replace: bool,
    s3_endpoint: str | None,
    s3_region: str | None,
) -> None:
    """Convert labels from SOURCE (a folder, the format's index file, or a zip or tar of it) to TARGET; no server, no
    Dagster.

    What was dropped, altered or noticed is said, with examples, and lies in TARGET/report.json. `fastlabel-dagster
    formats` lists the formats and their options.
    """
    from fastlabel_dagster.conversion import convert_dataset

    with _terminable():
        convert_dataset(
            source,
            target,
            source_format=source_format,
            target_format=target_format,
            read_options=read_options,
            options=options,
            strict=strict,
            s3=_s3(s3_endpoint, s3_region),
            pictures=pictures,
            archive=archive,
            shard_bytes=shard_mb * 2**20,
            replace=replace,
        )


@main.command()
def formats() -> None:
    """The formats `convert` knows, and their options."""
    from fastlabel_dagster.conversion import list_formats

    list_formats()


if __name__ == "__main__":
    main()
