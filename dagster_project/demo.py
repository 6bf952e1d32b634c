"""``make demo``: the labeling loop through two rounds, with the real Dagster daemon and webserver.

A sandbox, a code server, a daemon and a webserver run on this machine while it plays. Pictures are imported and tasks
approved by calls of the API; everything else is the work of sensors that tick by themselves: sync and exports, a
retraining, its model, the evaluation, the gate, which lets the first model pass and stops the second, and the
auto-annotation behind it. Runs and events are kept in ``.demo/``, where ``make dev`` shows them.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from pathlib import Path
from typing import Any

import click
import dagster as dg

from dagster_project.rounds import Loop
from dagster_project.services import DagsterServices, ServiceProblem, ended_by_signals
from dagster_project.surroundings import Surroundings
from fastlabel_dagster.doctor import look_at_store
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.errors import SandboxError
from fastlabel_dagster.sandbox.seed import SeedReport, seed_dataset, seed_drawn

APPROVALS = 40
#: Pictures that are drawn unless their number is said; many more than two rounds of approvals take.
DRAWN = 240
#: Pictures that nobody has touched; what the model annotates.
IMPORTED = 8
#: How fast the sandbox's clock runs: a training of ten minutes takes two seconds.
SPEED = 300.0
#: What the second model measures less than the first, far more than the gate forgives.
WORSE_BY = 0.2


def say(subject: str, words: str) -> None:
    """One line of the summary."""
    click.echo(f"  {subject:<14} {words}")


def play(loop: Loop, here: Surroundings, sandbox: Sandbox, seeded: SeedReport, approvals: int) -> None:
    """The whole loop, a line for each step. Raises ServiceProblem when it does not close."""
    labels = f"{seeded.tasks:,} tasks · {seeded.classes} classes · {seeded.approved:,} approved"
    say("project", f"{loop.project} · {labels}")
    loop.wait_for_ticks()
    loop.bring(IMPORTED)
    loop.wait_for_new("labels", "", id_key="labels_digest")
    loop.wait_for_runs("sync", 1)
    say(f"import {IMPORTED}", "sensor fired once → sync")
    first = loop.said("labels")
    say(
        "sync",
        f"{first['dagster/row_count']:,} tasks, {first['annotations']:,} annotations · "
        f"version {first['labels_version']}",
    )
    for export in ("coco", "yolo"):
        tell_export(here, export)

    passed = play_round(loop, 1, approvals)
    tell_annotated(loop, passed)

    sandbox.state.next_metrics(mAP=max(0.0, round(float(passed["mAP"]) - WORSE_BY, 4)))
    play_round(loop, 2, approvals)
    if loop.annotated() != 1:
        raise ServiceProblem(f"a model that failed the gate was let annotate: {loop.annotated()} auto-annotations")
    say("", "nothing annotated: people go on with the annotations of the first model")

    tell_unchanged(loop, here)
    say("lineage", f"complete: {len(loop.lineage())} assets from labels to auto-annotation, each materialized")


def play_round(loop: Loop, number: int, approvals: int) -> dict[str, Any]:
    """Approvals, training, model, evaluation, gate; what the evaluation says. The first round's gate has to pass, the
    second's to fail."""
    before = str(loop.said("training").get("training_job_id") or "")
    approved = loop.approve(approvals)
    training = loop.wait_for_new("training", before, id_key="training_job_id")
    dataset, job = loop.said("dataset"), str(training["training_job_id"])
    if loop.runs("retrain") != number:
        raise ServiceProblem(f"the approval sensor should have fired {number} times, not {loop.runs('retrain')}")
    say(
        f"approve {approved}",
        f"sensor fired once → dataset {dataset['dataset']} +{dataset['added']} → training {job[:8]}… submitted",
    )
    model = loop.wait(
        f"{loop.project}/model is reported",
        lambda: (said := loop.said("model")).get("training_job_id") == job and said,
    )
    name = model.get("model_name") or model["model_id"]
    say("trained", f"model {name} from labels version {model['labels_version']}")
    evaluation = loop.wait(
        f"{loop.project}/evaluation is materialized",
        lambda: (said := loop.said("evaluation")).get("model_name") == name and said,
    )
    loop.wait_for_runs("evaluate", number)
    gate = loop.gate()
    if gate.passed is not (number == 1):
        raise ServiceProblem(f"the gate {'passed' if gate.passed else 'failed'} in round {number}: {gate.words}")
    say("evaluated", f"mAP {evaluation['mAP']:.2f} · gate {'passed' if gate.passed else 'FAILED'}: {gate.words}")
    return dict(evaluation)


def tell_annotated(loop: Loop, evaluation: dict[str, Any]) -> None:
    """What the model that passed the gate has annotated, and that the mirror has it."""
    landed = loop.said("auto_annotation")
    if landed.get("model_name") != evaluation["model_name"]:
        raise ServiceProblem("the gate passed, but the model annotated nothing")
    if not landed.get("job_id"):
        say("annotated", str(landed.get("reason") or "nothing was untouched"))
        return
    loop.wait_for_runs("sync", 2)
    labels = loop.said("labels")
    say(
        "annotated",
        f"{landed.get('annotated_tasks', 0)} tasks, {landed.get('annotations_made', 0)} annotations by "
        f"{landed['model_name']} → sync → version {labels['labels_version']} with "
        f"{labels['annotations']:,} annotations",
    )


def tell_export(here: Surroundings, export: str) -> None:
    """Where an export lies, and what of the labels is in it."""
    from fastlabel_dagster.formats import ExportReport
    from fastlabel_dagster.store import open_store

    index = {"coco": "annotations.json", "yolo": "data.yaml"}[export]
    place = open_store(here.store).at(export)
    report = ExportReport.from_json(place.read_bytes("report.json"), place.uri)
    say(export, f"{place.uri_of(index)} · {report.written:,} of {report.annotations:,} annotations")
    for sentence in report.sentences():
        say("", f"  {sentence}")


def tell_unchanged(loop: Loop, here: Surroundings) -> None:
    """Sync once more, by a click, and see that nothing is written."""
    from fastlabel_dagster.store import open_store
    from fastlabel_dagster.sync import LabelMirror

    mirror = LabelMirror(open_store(here.store).at("labels"))
    versions = len(mirror.versions())
    start = time.perf_counter()
    loop.wait_for_run(loop.launch("sync"))
    if len(mirror.versions()) != versions:
        raise ServiceProblem("the second sync of an unchanged project wrote a new version; it should not have")
    took = time.perf_counter() - start
    say("sync again", f"nothing changed · still version {loop.said('labels')['labels_version']} · {took:.0f} s")


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="A COCO or YOLO folder [default: drawn street scenes].")
@click.option("--store", help="Folder or s3://bucket/prefix for the outputs [default: out/PROJECT].")
@click.option("--project", help="Project slug [default: street-scenes, or the data folder's name].")
@click.option("--tasks", type=click.IntRange(min=1), help="How many pictures [default: 240 drawn ones, or all].")
def demo(*, data: Path | None, store: str | None, project: str | None, tasks: int | None) -> None:
    """Play the labeling loop through two rounds against a sandbox and say what happened."""
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
        with (
            ended_by_signals(),
            Sandbox(here.sandbox, speed=SPEED) as sandbox,
            warnings.catch_warnings(),
            contextlib.ExitStack() as ending,
        ):
            warnings.simplefilter("ignore")
            say("sandbox", f"{sandbox.base}  (a FastLabel you can break; no account needed)")
            services = DagsterServices(here.dagster_home)
            ending.callback(services.stop)
            drawn = data is None and tasks is None
            if drawn:  # there are enough pictures for all approvals: the code location can load while they are drawn
                here.enter(sandbox.url, retrain_every=APPROVALS)
                services.begin()
            seeded = (
                seed_dataset(sandbox.state, data, project=here.project, tasks=tasks)
                if data
                else seed_drawn(sandbox.state, project=here.project, tasks=tasks or DRAWN)
            )
            approvals = max(1, min(APPROVALS, (seeded.tasks - seeded.approved) // 2))
            if not drawn:
                here.enter(sandbox.url, retrain_every=approvals)
                services.begin()
            services.finish_start()
            with dg.DagsterInstance.get() as instance:
                say("dagster", f"{services.url}  (daemon and webserver, while this plays)")
                play(Loop(here.project, services, instance, sandbox), here, sandbox, seeded, approvals)
    except (SandboxError, ServiceProblem, OSError) as error:
        raise click.ClickException(str(error)) from error
    except (KeyboardInterrupt, dg.DagsterExecutionInterruptedError):
        raise click.ClickException("interrupted; the next `make demo` starts afresh") from None
    say("all", f"{time.perf_counter() - start:.0f} s · outputs in {here.store}")
    say("look", "make dev → http://127.0.0.1:3000")


if __name__ == "__main__":
    demo()
