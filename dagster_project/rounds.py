"""One round of the labeling loop, watched: people approve, and from then on sensors and runs do the rest.

Nothing here starts a step. It does what people do, by calls of the API, and then waits for what the daemon makes of
it; what came about is read from the Dagster instance and asked of the webserver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import dagster as dg

from dagster_project.services import DagsterServices, ServiceProblem
from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.translator import asset_key, safe_name

Found = TypeVar("Found")

#: How long one run, with the ticks before it, may take on a slow machine.
PATIENCE_SECONDS = 180.0

_LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { id } }
    ... on PythonError { message }
  }
}
"""
_CHECK = """
query ($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetChecksOrError {
        ... on AssetChecks { checks { name executionForLatestMaterialization { evaluation { success description } } } }
      }
    }
  }
}
"""
_LINEAGE = "{ assetNodes { assetKey { path } isObservable assetMaterializations(limit: 1) { timestamp } } }"
_TICKS = """
query ($repository: RepositorySelector!) {
  sensorsOrError(repositorySelector: $repository) {
    ... on Sensors { results { name sensorState { ticks(limit: 1) { status } } } }
  }
}
"""


@dataclass(frozen=True)
class Gate:
    """What the gate said of a model, as the webserver shows it."""

    passed: bool
    words: str


class Loop:
    """The loop of one project under a running daemon, and what one can do with it and wait for."""

    def __init__(self, project: str, services: DagsterServices, instance: dg.DagsterInstance, sandbox: Sandbox) -> None:
        self.project = project
        self.name = safe_name(project)
        self._services = services
        self._instance = instance
        self._sandbox = sandbox
        self._may_fail = f"{self.name}_evaluate"

    # -- what people do ----------------------------------------------------------------------------------------------

    def approve(self, count: int) -> int:
        """Approve the next ``count`` tasks by calls of the API, as reviewers would; how many that were."""
        ids = self._sandbox.state.tasks.next_ids(self.project, "approved", count)
        with FastLabelClient(self._sandbox.token, self._sandbox.url) as client:
            for task_id in ids:
                client.image_tasks.update(task_id, status="approved")
        return len(ids)

    def bring(self, pictures: int) -> None:
        """Import pictures that nobody has touched."""
        self._sandbox.state.start_import(self.project, seconds=0, tasks=pictures)

    def launch(self, what: str) -> str:
        """Launch ``<slug>_<what>`` as a click in the UI does; the run's id."""
        selector = {**self._repository, "jobName": f"{self.name}_{what}"}
        answer = self._services.graphql(_LAUNCH, params={"selector": selector, "runConfigData": {}})["launchRun"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise ServiceProblem(f"{self.name}_{what} cannot be launched: {answer.get('message', answer)}")
        return str(answer["run"]["id"])

    # -- what one waits for ------------------------------------------------------------------------------------------

    def wait(self, what: str, condition: Callable[[], Found | None]) -> Found:
        """Wait for ``condition``, but not beyond a run that has failed: its own words are the problem then."""

        def look() -> Found | None:
            found = condition()
            if not found:
                self._refuse_failed_runs()
            return found

        return self._services.wait_until(what, look, PATIENCE_SECONDS, every=0.5, look_into="code-server")

    def wait_for_ticks(self) -> None:
        """Until every sensor has ticked once, so that each knows from when on it watches."""

        def ticked() -> bool:
            sensors = self._services.graphql(_TICKS, repository=self._repository)["sensorsOrError"]["results"]
            ticks = [tick["status"] for sensor in sensors for tick in sensor["sensorState"]["ticks"][:1]]
            return len(ticks) == len(sensors) and not {"STARTED"} & set(ticks)

        self.wait("every sensor has ticked", ticked)

    def wait_for_new(self, part: str, known: str, *, id_key: str = "job_id") -> Mapping[str, Any]:
        """What ``part`` says as soon as its ``id_key`` is another than ``known``."""

        def fresh() -> Mapping[str, Any] | None:
            said = self.said(part)
            return said if said.get(id_key) and str(said[id_key]) != known else None

        return self.wait(f"{self.project}/{part} is materialized", fresh)

    def wait_for_run(self, run_id: str) -> dg.DagsterRun:
        """The run when it has ended; one that failed is a problem."""

        def ended() -> dg.DagsterRun | None:
            run = self._instance.get_run_by_id(run_id)
            return run if run is not None and run.is_success else None

        return self.wait(f"run {run_id[:8]} ends", ended)

    def wait_for_runs(self, what: str, count: int) -> None:
        """Until so many runs of ``<slug>_<what>`` have ended well or, of the evaluation, at the gate."""
        job = f"{self.name}_{what}"

        def ended() -> bool:
            runs = self._instance.get_runs(dg.RunsFilter(job_name=job))
            return len(runs) >= count and all(run.is_finished for run in runs)

        self.wait(f"{job} has ended", ended)

    # -- what came of it ---------------------------------------------------------------------------------------------

    def said(self, part: str) -> dict[str, Any]:
        """The metadata of the newest materialization of one of the project's assets; empty before the first."""
        event = self._instance.get_latest_materialization_event(asset_key(self.project, part))
        if event is None or event.asset_materialization is None:
            return {}
        return {key: value.value for key, value in event.asset_materialization.metadata.items()}

    def runs(self, what: str) -> int:
        """How many runs of ``<slug>_<what>`` there have been."""
        return self._instance.get_runs_count(dg.RunsFilter(job_name=f"{self.name}_{what}"))

    def gate(self) -> Gate:
        """What the gate says of the newest model."""
        key = {"path": asset_key(self.project, "evaluation").path}
        node = self._services.graphql(_CHECK, key=key)["assetNodeOrError"]
        for check in (node.get("assetChecksOrError") or {}).get("checks") or []:
            evaluation = (check.get("executionForLatestMaterialization") or {}).get("evaluation")
            if check["name"] == "gate" and evaluation:
                return Gate(bool(evaluation["success"]), str(evaluation["description"] or ""))
        raise ServiceProblem(f"the check gate of {self.project}/evaluation was not evaluated")

    def annotated(self) -> int:
        """How many auto-annotations FastLabel has been asked for."""
        return len(self._sandbox.state.jobs.listed("auto_annotation", project=self.project, limit=1000))

    def lineage(self) -> list[str]:
        """The keys of the project's assets. Raises ServiceProblem naming those that nobody has materialized."""
        nodes = self._services.graphql(_LINEAGE)["assetNodes"]
        people = asset_key(self.project, "project").path
        keys = ["/".join(node["assetKey"]["path"]) for node in nodes if node["assetKey"]["path"] != people]
        missing = [
            "/".join(node["assetKey"]["path"])
            for node in nodes
            if node["assetKey"]["path"] != people and not node["assetMaterializations"]
        ]
        if missing:
            raise ServiceProblem(f"the lineage is not complete: {', '.join(sorted(missing))} never materialized")
        return keys

    @property
    def _repository(self) -> dict[str, str]:
        return {"repositoryName": "__repository__", "repositoryLocationName": self._services.location}

    def _refuse_failed_runs(self) -> None:
        """An evaluation may end at its gate; every other run that fails ends the waiting."""
        for run in self._instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]), limit=20):
            if run.job_name != self._may_fail or not self._at_gate(run):
                raise ServiceProblem(f"{run.job_name} failed: {reason_of(self._instance, run.run_id)}")

    def _at_gate(self, run: dg.DagsterRun) -> bool:
        return "gate" in reason_of(self._instance, run.run_id)


def reason_of(instance: dg.DagsterInstance, run_id: str) -> str:
    """Why a run failed, in the words of the innermost error and without its stack."""
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event is None:
            continue
        data = event.step_failure_data
        if data.user_failure_data is not None and data.user_failure_data.description:
            return str(data.user_failure_data.description)
        error = data.error
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return str(error.message).strip()
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):  # its process could not begin
        event = entry.dagster_event
        error = event.engine_event_data.error if event is not None else None
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            return str(error.message).strip()
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE):
        return entry.user_message or entry.message
    return "no step says why; `make dev` shows the run"
