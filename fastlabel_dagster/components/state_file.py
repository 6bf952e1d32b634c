"""The state of a workspace component between two refreshes: read, fetched anew, written whole."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs

from fastlabel_dagster._compat import stored_state
from fastlabel_dagster.api.errors import NotFound
from fastlabel_dagster.assets.steps import Execute, FastLabelStep, StepContext
from fastlabel_dagster.components.planned import REFRESH
from fastlabel_dagster.sensors.health import if_renamed
from fastlabel_dagster.workspace import FastLabelWorkspace
from fastlabel_dagster.workspace.former import left_since

log = logging.getLogger("fastlabel_dagster.components")


def refresh(
    path: Path, config: DefsStateConfig, fetch: Callable[[FastLabelWorkspace | None], FastLabelWorkspace]
) -> None:
    """Have ``fetch`` look at the workspace, and keep what it found at ``path``, whole or not at all. What has become of
    projects that were there before is told in the log.

    Args:
        path: where Dagster wants the state; with ``LOCAL_FILESYSTEM`` the former one lies there.
        config: under which key, and where, the state is kept.
        fetch: is given the former state, None when there is none.
    """
    former = _former(path, config)
    workspace = fetch(former)
    for sentence in left_since(workspace, former) if former is not None else ():
        log.warning("%s.", sentence)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as folder:  # two may refresh at once
        whole = Path(folder) / path.name
        whole.write_text(workspace.to_json(), encoding="utf-8")
        whole.replace(path)


def _former(path: Path, config: DefsStateConfig) -> FastLabelWorkspace | None:
    """The state of the last refresh; None when there is none that can be read. A code server's snapshots
    (``LEGACY_CODE_SERVER_SNAPSHOTS``) know nothing of the one before."""
    with tempfile.TemporaryDirectory() as folder:
        stored = path if path.is_file() else stored_state(config, Path(folder) / "state")
        if stored is None:
            return None
        try:
            return FastLabelWorkspace.from_json(stored.read_bytes())
        except ValueError as error:
            log.warning("The former state is not used: %s", error)
            return None


def stored_workspace(path: Path | None) -> FastLabelWorkspace:
    """The workspace as it was last fetched. Raises ValueError when it was not, or the file cannot be read."""
    if path is None or not path.is_file():
        raise ValueError("it was never fetched")
    return FastLabelWorkspace.from_json(path.read_bytes())


def only_by_command(state: DefsStateConfigArgs) -> DefsStateConfigArgs:
    """``state``, which only the command refreshes, unless somebody has said otherwise: to Dagster every ``dg`` command
    is development, and where nothing is said it would ask the API whenever the code location loads."""
    return state if "refresh_if_dev" in state.model_fields_set else state.model_copy(update={"refresh_if_dev": False})


def advising(execute: Execute) -> Execute:
    """``execute``, of which a step that fails because FastLabel has not what the state says is there also says what to
    run."""

    def executed(context: StepContext, step: FastLabelStep) -> Iterator[Any]:
        try:
            yield from execute(context, step)
        except dg.Failure as failed:
            told = [str(value.value) for value in failed.metadata.values()]
            if not any(one == NotFound.__name__ or one.startswith(f"{NotFound.__name__}:") for one in told):
                raise
            raise dg.Failure(
                description=f"{failed.description}. The projects are those of the last refresh: {if_renamed(REFRESH)}.",
                metadata={**failed.metadata, "what to run": REFRESH},
                allow_retries=failed.allow_retries,
            ) from failed

    return executed


def not_fetched(name: str, why: str, key: str) -> dg.AssetSpec:
    """An asset ``<name>/not_fetched`` that says what to run, beside a warning in the log: an empty code location would
    say nothing.

    Args:
        why: there is nothing to show. key: under which the state is kept.
    """
    words = f"Nothing is known of this FastLabel workspace yet ({why}). Run `{REFRESH}`, then reload."
    log.warning("%s: %s", name, words)
    return dg.AssetSpec(
        dg.AssetKey([name, "not_fetched"]),
        description=words,
        group_name="fastlabel_workspace",
        kinds={"fastlabel"},
        metadata={"run this": REFRESH, "why": why, "state key": key},
    )
