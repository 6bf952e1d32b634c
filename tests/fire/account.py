"""What FastLabel was asked to do, held against what happened and against what Dagster was told."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sync import dataset_digest

PROJECT = "street"


@dataclass
class Account:
    """The state of a sandbox and of an instance when everything has come to rest.

    Attributes:
        imports: how each import ended, by its id.
        acted: how many runs each import has started.
    """

    sandbox: Sandbox
    instance: dg.DagsterInstance
    imports: Mapping[str, str]
    acted: Counter[str]

    def wrong(self) -> list[str]:
        """What should not have come about, as sentences."""
        return [*self._wrong_imports(), *self._wrong_trainings(), *self._wrong_models(), *self._wrong_others()]

    def _wrong_imports(self) -> Iterator[str]:
        for name, outcome in self.imports.items():
            if self.acted[name] != (outcome == "completed"):
                yield f"import {name}, which {outcome}, has started {self.acted[name]} runs"
        key = dg.AssetCheckKey(dg.AssetKey(["fastlabel", PROJECT]), "imports_succeeded")
        told = {
            str(evaluation.metadata["import_history"].value)
            for evaluation in self._check_evaluations(key)
            if not evaluation.passed
        }
        failed = {name for name, outcome in self.imports.items() if outcome == "failed"}
        if told != failed:
            yield f"failed imports {failed} were told as {told}"

    def _wrong_trainings(self) -> Iterator[str]:
        jobs = [job["contentCount"] for job in self.started("training")]
        versions = {said["dataset_version"] for said in self.metadata("dataset") if said["approved_tasks"]}
        if len(jobs) > len(versions):
            yield f"{len(jobs)} trainings of {len(versions)} versions of the dataset: {jobs}"
        published = next(self.metadata("dataset"), {})
        if published.get("approved_tasks"):
            # by what the dataset holds: of two runs that publish at once, either may tell of its own objects only
            with FastLabelClient(self.sandbox.token, self.sandbox.url, budget=None) as client:
                held = dataset_digest(client, published["dataset"], PROJECT)
            if held not in {said["dataset_version"] for said in self.metadata("training") if said.get("job_id")}:
                yield "what the dataset holds was not trained on"
        by_version: dict[str, set[str]] = {}
        for said in self.metadata("training"):
            if said.get("training_job_id"):
                by_version.setdefault(said["dataset_version"], set()).add(said["training_job_id"])
        for version, ids in by_version.items():
            if len(ids) > 1:
                yield f"version {version} was trained by {sorted(ids)}"

    def _wrong_models(self) -> Iterator[str]:
        told = Counter(said["training_job_id"] for said in self.metadata("model"))
        # a run that was killed has told of the training it began, and the next one may have trained on something newer
        trainings = [*self.metadata("training"), *self.observed("training")]
        known = {said["training_job_id"] for said in trainings if said.get("training_job_id")}
        if set(told) != known or set(told.values()) - {1}:
            yield f"trainings {known} were told as models {dict(told)}"

    def _wrong_others(self) -> Iterator[str]:
        # by the revision the dataset had as the job began; its count of objects is of the moment the job ended
        evaluated = Counter((job["modelName"], job["datasetRevisionId"]) for job in self.started("evaluation"))
        for what, count in evaluated.items():
            if count > 1:
                yield f"the model and revision of the dataset {what} were evaluated {count} times"

    def metadata(self, part: str) -> Iterator[dict[str, Any]]:
        """What the materializations of a part say, newest first."""
        for record in self.instance.fetch_materializations(dg.AssetKey([PROJECT, part]), limit=1000).records:
            found = record.asset_materialization
            assert found is not None
            yield {name: value.value for name, value in found.metadata.items()}

    def observed(self, part: str) -> Iterator[dict[str, Any]]:
        """What the observations of a part say, newest first."""
        for record in self.instance.fetch_observations(dg.AssetKey([PROJECT, part]), limit=1000).records:
            found = record.asset_observation
            assert found is not None
            yield {name: value.value for name, value in found.metadata.items()}

    def started(self, kind: str) -> list[dict[str, Any]]:
        """What was asked for in every job of a kind that FastLabel has started, and what it answers."""
        with self.sandbox.state.database.read() as connection:
            rows = connection.execute("SELECT request, body FROM jobs WHERE kind = ? ORDER BY seq", (kind,)).fetchall()
        return [{**json.loads(request), **json.loads(body)} for request, body in rows]

    def _check_evaluations(self, key: dg.AssetCheckKey) -> Iterator[dg.AssetCheckEvaluation]:
        records = self.instance.event_log_storage.get_asset_check_execution_history(key, limit=1000)
        for record in records:
            event = record.event.dagster_event if record.event is not None else None
            if event is not None:
                yield event.asset_check_evaluation_data
