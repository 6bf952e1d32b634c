"""``fastlabel-dagster convert`` and ``formats``: one dataset into another, without a server and without Dagster."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fastlabel_dagster.labels.report import Note


def convert_dataset(
    source: Path,
    target: str,
    *,
    source_format: str,
    target_format: str,
    read_options: Iterable[str],
    options: Iterable[str],
    strict: bool,
    **settings: Any,
) -> None:
    """Read ``source``, write ``target``, and say what happened on the way.

    ``settings`` go to :func:`fastlabel_dagster.formats.write`. A progress bar runs on standard error where that is a
    terminal.
    """
    from fastlabel_dagster import formats
    from fastlabel_dagster.formats import registry
    from fastlabel_dagster.sync.progress import progress_bar

    asked, wanted = parse_options(read_options), parse_options(options)
    # A slip of the pen is said before the source is read, which may take minutes.
    registry.settings(registry.find(source_format).read_options, asked, f"the reader of {source_format!r}")
    place = {name: settings[name] for name in ("s3", "replace") if name in settings}
    formats.check_write(target, format=target_format, source=source, **place, **wanted)
    with progress_bar(True, f"reading {source_format}", unit=" images") as progress:
        labels = formats.read(source, format=source_format, strict=strict, progress=progress, **asked)
    assert labels.report is not None
    _say(f"read    {labels.report.annotations:,} annotations of {labels.report.tasks:,} tasks from {source}")
    _say_notes(labels.report.dropped, "dropped")
    _say_notes(labels.report.altered, "altered")
    _say_notes(labels.report.noticed, "noticed")
    steps = formats.steps_of(labels, format=target_format)
    with progress_bar(True, f"writing {target_format}", total=steps, unit=" images") as progress:
        report = formats.write(
            labels,
            format=target_format,
            target=target,
            strict=strict,
            progress=progress,
            **settings,
            **wanted,
        )
    parts = "".join(f", {name} {count:,}" for name, count in report.splits.items())
    _say(
        f"written {report.written:,} annotations of {report.images:,} images{parts} to {report.target} "
        f"({report.files:,} files, {report.bytes / 1e6:,.1f} MB)"
    )
    _say_notes(report.dropped, "dropped")
    _say_notes(report.altered, "altered")
    # What the reader told is in the report as well, for who finds the folder later; it was said above.
    _say_notes((note for note in report.noticed if "when the source was read:" not in note.reason), "noticed")


def list_formats() -> None:
    """A line for every format, and its options with their defaults."""
    from fastlabel_dagster.formats import registry

    for name in registry.names():
        found = registry.find(name)
        ways = "read and written" if found.read and found.write else "written" if found.write else "read"
        click.echo(f"{name:16} {ways:17} {found.summary}")
        for flag, known in (("--option", found.options), ("--read-option", found.read_options)):
            for option, default in known.items():
                click.echo(f"{'':16} {flag} {option}={json.dumps(default, ensure_ascii=False)}")


def parse_options(given: Iterable[str]) -> dict[str, Any]:
    """``name=value`` pairs; a value is JSON where it can be (``true``, ``0.5``, ``{"train": 0.8, "val": 0.2}``) and
    else the text itself. Raises ValueError for one without a name."""
    parsed: dict[str, Any] = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not name or not equals:
            raise ValueError(f"an option is name=value, not {pair!r}")
        try:
            parsed[name] = json.loads(text)
        except ValueError:
            parsed[name] = text
    return parsed


def _say(text: str) -> None:
    """A line on standard output. Whoever reads it may have seen enough (``| head``); the dataset is written all the
    same."""
    try:
        click.echo(text)
    except BrokenPipeError:
        # Closed is closed: what is said from here on, and what Python still holds back, goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _say_notes(notes: Iterable[Note], fate: str) -> None:
    for note in notes:
        examples = f"  e.g. {', '.join(note.examples[:2])}" if note.examples else ""
        _say(f"  {fate:8} {note.count:>9,} {note.type}: {note.reason}{examples}")
