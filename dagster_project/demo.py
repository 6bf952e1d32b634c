"""``make demo``: the main job from end to end, in one process, against a sandbox on this machine.

Sync and exports, approvals, the sensor that notices them, a retraining, the sensor that reports its model, and a second
sync that finds nothing to do. Runs and events are kept in ``.demo/``, where ``make dev`` shows them.
"""

from __future__ import annotations

import logging
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import dagster as dg

from dagster_project.surroundings import Surroundings
from fastlabel_dagster.doctor import look_at_store
from fastlabel_dagster.project import retrain_job_name, sync_job_name
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.errors import SandboxError
from fastlabel_dagster.sandbox.seed import SeedReport, seed_dataset, seed_drawn
from fastlabel_dagster.translator import asset_key, safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.store import Store

APPROVALS = 40
HOUR = 3600.0
#: Only the summary on the terminal: what Dagster logs of every step is in the UI.
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def say(subject: str, words: str) -> None:
    """One line of the summary."""
    click.echo(f"  {subject:<14} {words}")


class Demo:
    """The code location, its Dagster instance and the sandbox, and what one does with them."""

    def __init__(self, here: Surroundings, sandbox: Sandbox, instance: dg.DagsterInstance, *, approvals: int) -> None:
        from dagster_project.definitions import defs

        self.project = here.project
        self.store_uri = here.store
        self.sandbox = sandbox
        self.instance = instance
        self.approvals = approvals
        self.defs = defs
        self.cursors: dict[str, str | None] = {}

    def run(self, job: str, tags: dict[str, str] | None = None) -> float:
        """Run a job in this process; seconds it took. Raises ClickException with the failed step's own words."""
        start = time.perf_counter()
        result = self.defs.resolve_job_def(job).execute_in_process(
            instance=self.instance, tags=tags or {}, run_config=QUIET, raise_on_error=False
        )
        if not result.success:
            raise click.ClickException(f"{job} failed: {reason_of(result)}")
        return time.perf_counter() - start

    def tick(self, sensor: str) -> Any:
        """Evaluate a sensor once, as the daemon would, and keep its cursor for the next time."""
        definition = self.defs.resolve_sensor_def(sensor)
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursors.get(sensor),
            definitions=self.defs,
            resources=dict(self.defs.resources or {}),
        ) as context:
            context.log.setLevel(logging.WARNING)
            data = definition.evaluate_tick(context)
        self.cursors[sensor] = data.cursor
        for event in data.asset_events:
            self.instance.report_runless_asset_event(event)
        return data

    def said(self, name: str) -> dict[str, Any]:
        """The metadata of the newest materialization of one of the project's assets."""
        event = self.instance.get_latest_materialization_event(asset_key(self.project, name))
        if event is None or event.asset_materialization is None:
            raise click.ClickException(f"{name} was never materialized")
        return {key: value.value for key, value in event.asset_materialization.metadata.items()}

    def versions(self) -> int:
        """How many versions the mirror has."""
        from fastlabel_dagster.sync import LabelMirror

        return len(LabelMirror(self.store().at("labels")).versions())

    def store(self) -> Store:
        from fastlabel_dagster.store import open_store

        return open_store(self.store_uri)

    def approve(self) -> int:
        """Approve as many more tasks as start a retraining, as reviewers would; how many that were."""
        return len(self.sandbox.state.approve(self.project, self.approvals))


def reason_of(result: dg.ExecuteInProcessResult) -> str:
    """Why a run failed, in the words of the innermost error and without its stack."""
    failure = next((event for event in result.all_events if event.is_step_failure), None)
    if failure is None:
        return "no step says why; `make dev` shows the run"
    data = failure.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return str(error.message).strip() if error is not None else "no error was recorded"


def play(demo: Demo, seeded: SeedReport) -> None:
    """The whole loop, a line for each step."""
    name = safe_name(demo.project)
    labels = f"{seeded.tasks:,} tasks · {seeded.classes} classes · {seeded.approved:,} approved"
    say("project", f"{demo.project} · {labels}")
    demo.tick(f"{name}_approvals")
    demo.tick(f"{name}_imports")

    took = demo.run(sync_job_name(demo.project))
    first = demo.said("labels")
    say(
        "sync",
        f"{first['dagster/row_count']:,} tasks, {first['annotations']:,} annotations · "
        f"version {first['labels_version']} · tables, images and exports in {took:.1f} s",
    )
    for export in ("coco", "yolo"):
        tell_export(demo, export)

    approve_and_retrain(demo, name)

    versions = demo.versions()
    took = demo.run(sync_job_name(demo.project))
    if demo.versions() != versions:
        raise click.ClickException("the second sync of an unchanged project wrote a new version; it should not have")
    say("sync again", f"nothing changed · still version {demo.said('labels')['labels_version']} · {took:.1f} s")


def tell_export(demo: Demo, export: str) -> None:
    """Where an export lies, and what of the labels is in it."""
    from fastlabel_dagster.formats import ExportReport

    index = {"coco": "annotations.json", "yolo": "data.yaml"}[export]
    place = demo.store().at(export)
    report = ExportReport.from_json(place.read_bytes("report.json"), place.uri)
    say(export, f"{place.uri_of(index)} · {report.written:,} of {report.annotations:,} annotations")
    for sentence in report.sentences():
        say("", f"  {sentence}")


def approve_and_retrain(demo: Demo, name: str) -> None:
    """Approve tasks, let the sensors notice, train, and report the model."""
    approved = demo.approve()
    requests = demo.tick(f"{name}_approvals").run_requests
    if len(requests) != 1 or demo.tick(f"{name}_approvals").run_requests:
        raise click.ClickException("the approval sensor should have fired exactly once")
    demo.run(retrain_job_name(demo.project), dict(requests[0].tags))
    dataset, training = demo.said("dataset"), demo.said("training")
    job = str(training["training_job_id"])
    say(
        f"approve {approved}",
        f"sensor fired once → dataset {dataset['dataset']} +{dataset['added']} → training {job[:8]}… submitted",
    )
    demo.sandbox.state.clock.advance(24 * HOUR)
    demo.tick(f"{name}_training")
    model = demo.said("model")
    say(
        "trained", f"model {model.get('model_name') or model['model_id']} from labels version {model['labels_version']}"
    )


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="A COCO or YOLO folder [default: drawn street scenes].")
@click.option("--store", help="Folder or s3://bucket/prefix for the outputs [default: out/PROJECT].")
@click.option("--project", help="Project slug [default: street-scenes, or the data folder's name].")
@click.option("--tasks", type=click.IntRange(min=1), help="How many pictures [default: 240 drawn ones, or all].")
def demo(*, data: Path | None, store: str | None, project: str | None, tasks: int | None) -> None:
    """Play the main job from end to end against a sandbox and say what happened."""
    start = time.perf_counter()
    try:
        here = Surroundings.choose(project, data, store)
        here.forget()
        here.make()
        here.mark_outputs()
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    place = look_at_store(here.store)
    if not place.well:
        raise click.ClickException(f"STORE={place.words}")
    try:
        with Sandbox(here.sandbox) as sandbox, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            say("sandbox", f"{sandbox.base}  (a FastLabel you can break; no account needed)")
            seeded = (
                seed_dataset(sandbox.state, data, project=here.project, tasks=tasks)
                if data
                else seed_drawn(sandbox.state, project=here.project, tasks=tasks or 240)
            )
            approvals = max(1, min(APPROVALS, seeded.tasks - seeded.approved))
            here.enter(sandbox.url, retrain_every=approvals)
            with dg.DagsterInstance.get() as instance:
                play(Demo(here, sandbox, instance, approvals=approvals), seeded)
    except (SandboxError, OSError) as error:
        raise click.ClickException(str(error)) from error
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        raise click.ClickException("interrupted; the next `make demo` starts afresh") from None
    say("all", f"{time.perf_counter() - start:.0f} s · outputs in {here.store}")
    say("look", "make dev → http://127.0.0.1:3000")


if __name__ == "__main__":
    demo()
