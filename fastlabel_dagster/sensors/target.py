"""What a sensor launches: a job by name or object, or, when none is given, the project's own assets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import dagster as dg

from fastlabel_dagster._compat import TaggedAssets
from fastlabel_dagster.resource import resource_named
from fastlabel_dagster.translator import GATE_TAG, project_tag, safe_name

#: A job's name, anything Dagster takes as a job (``dg.define_asset_job(...)``, ``@dg.job``), or a :class:`SharedJob`.
JobLike: TypeAlias = Any

SYNC_PARTS = ("labels", "classes", "tasks", "annotations", "images", "export")
TRAINING_PARTS = ("labels", "images", "dataset", "training")


def project_selection(*projects: str, training: bool = False) -> dg.AssetSelection:
    """The assets of ``projects`` a sync makes (mirror to exports), or with ``training`` those a retraining makes.

    Assets whose checks block are among them in any case. Found by the tags the translator sets, so a renamed or
    regrouped asset is still found.
    """
    parts = {("fastlabel/part", part) for part in (TRAINING_PARTS if training else SYNC_PARTS)}
    owned = {("fastlabel/project", project_tag(project)) for project in projects}
    return TaggedAssets((frozenset({*parts, (GATE_TAG, "blocking")}), frozenset(owned)))


def slugs_of(projects: str | Sequence[str]) -> list[str]:
    """The projects as a list, each once.

    Raises:
        ValueError: there is none.
    """
    slugs = [projects] if isinstance(projects, str) else list(dict.fromkeys(projects))
    if not slugs or not all(slugs):
        raise ValueError("name at least one project")
    return slugs


#: Slugs, or the partitions of a workspace, of which each is a slug.
ProjectsLike: TypeAlias = str | Sequence[str] | dg.DynamicPartitionsDefinition


class Projects:
    """The projects a sensor watches: those that are named, or those that have a partition when it looks.

    Raises:
        ValueError: none is named, or the partitions have no name.
    """

    def __init__(self, projects: ProjectsLike) -> None:
        self.partitions = projects if isinstance(projects, dg.DynamicPartitionsDefinition) else None
        if self.partitions is not None and not self.partitions.name:
            raise ValueError("dynamic partitions that a sensor looks up need a name")
        self.named = [] if isinstance(projects, dg.DynamicPartitionsDefinition) else slugs_of(projects)

    def now(self, context: dg.SensorEvaluationContext) -> list[str]:
        """Their slugs, as of this tick."""
        if self.partitions is None:
            return self.named
        return list(context.instance.get_dynamic_partitions(str(self.partitions.name)))

    def sensor_name(self, what: str) -> str:
        """The name of a sensor of theirs that was given none."""
        return sensor_name(self.named, what) if self.partitions is None else f"{self.partitions.name}_{what}"

    def __str__(self) -> str:
        return listed(self.named) if self.partitions is None else f"the partitions of {self.partitions.name}"


def sensor_name(slugs: Sequence[str], what: str) -> str:
    """``<slug>_<what>`` for one project, ``<what>_<hash of the slugs>`` for several."""
    return f"{safe_name(slugs[0])}_{what}" if len(slugs) == 1 else f"{what}_{mark(slugs)}"


def listed(slugs: Sequence[str]) -> str:
    """The projects for a description, the first five by name."""
    more = f" and {len(slugs) - 5} more" if len(slugs) > 5 else ""
    return ", ".join(slugs[:5]) + more


def mark(names: Sequence[str]) -> str:
    """Sixteen characters that stand for these names in this order."""
    return hashlib.blake2b("\n".join(names).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@dataclass(frozen=True)
class SharedJob:
    """One job of several projects, of which a run makes the assets of its project.

    Dagster spends some thirty milliseconds on each job of assets when a code location loads, so hundreds of projects
    are better one job than hundreds.

    Attributes:
        job: with the assets of all projects.
        keys: those of each project, by slug.
    """

    job: Any
    keys: Mapping[str, Sequence[dg.AssetKey]]

    @property
    def name(self) -> str:
        """The job's."""
        return str(self.job.name)


def job_objects(job: JobLike | Mapping[str, JobLike]) -> list[Any]:
    """The jobs themselves, as a sensor is told of them."""
    if isinstance(job, Mapping):
        return list(job.values())
    return [job.job if isinstance(job, SharedJob) else job]


def launching(job: JobLike, project: str) -> dict[str, Any]:
    """What a run request says so that it runs ``job`` for ``project``; of a job by name, the sensor knows the name."""
    if isinstance(job, SharedJob):
        return {"job_name": job.name, "asset_selection": list(job.keys[project])}
    return {} if isinstance(job, str) else {"job_name": job.name}


class Target:
    """What the runs of a sensor are made of.

    Args:
        job: by name or object; for several projects also a mapping of slug to job *object*. None: the projects' own
            assets, those a sync makes or, with ``training``, a retraining; with ``runs=False`` nothing at all.

        partitions: each project's run is of the partition of its slug; there is one job then.

    Raises:
        ValueError: a mapping of jobs leaves a project out, or there is no job for the partitions.
    """

    def __init__(
        self,
        job: JobLike | Mapping[str, JobLike] | None,
        projects: Sequence[str],
        *,
        training: bool = False,
        runs: bool = True,
        partitions: dg.DynamicPartitionsDefinition | None = None,
    ) -> None:
        if partitions is not None and (job is None or isinstance(job, Mapping)):
            raise ValueError(f"name the job that is run in the partitions of {partitions.name}")
        if isinstance(job, Mapping) and (missing := [slug for slug in projects if slug not in job]):
            raise ValueError(f"there is no job for {listed(missing)}")
        self._job, self._projects, self._training, self._runs = job, projects, training, runs
        self._partitioned = partitions is not None

    def arguments(self) -> dict[str, Any]:
        """The arguments with which a ``SensorDefinition`` is told what it may launch."""
        if isinstance(self._job, str):
            return {"job_name": self._job}
        if isinstance(self._job, Mapping):
            return {"jobs": list({one.name: one for one in self._job.values()}.values())}
        if self._job is not None:
            return {"job": job_objects(self._job)[0]}
        if not self._runs:
            return {}
        return {"asset_selection": project_selection(*self._projects, training=self._training)}

    def requests(
        self,
        context: dg.SensorEvaluationContext,
        project: str,
        run_key: str,
        tags: Mapping[str, str],
        *,
        partition_key: str | None = None,
    ) -> list[dg.RunRequest]:
        """One run for one project; none, told in the tick's log, when the location has no asset of the project.

        Dagster takes an empty selection for no selection at all, and would run everything there is.
        """
        extra: dict[str, Any] = {}
        if isinstance(self._job, Mapping):
            extra = launching(self._job[project], project)
        elif isinstance(self._job, SharedJob):
            extra = launching(self._job, project)
        elif self._job is None and (definitions := context.repository_def) is not None:
            selection = project_selection(project, training=self._training)
            keys = sorted(selection.resolve(definitions.asset_graph))
            if not keys:
                context.log.warning("%s: no run is requested, this code location has no assets of it.", project)
                return []
            if len(self._projects) > 1:
                extra["asset_selection"] = keys
        if self._partitioned:
            partition_key = project
        tags = {"fastlabel/project": project, **tags}
        return [dg.RunRequest(run_key=run_key, partition_key=partition_key, tags=tags, **extra)]


def sensor_of(
    evaluate: Callable[..., Any],
    *,
    name: str,
    description: str,
    resource_key: str,
    target: Target | None = None,
    minimum_interval_seconds: int,
    default_status: dg.DefaultSensorStatus,
    owners: Sequence[str] | None = None,
    tags: Mapping[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> dg.SensorDefinition:
    """A sensor definition around ``evaluate(context, fastlabel)``; see the builders for the arguments."""
    given = {"owners": owners, "tags": tags, "metadata": metadata}
    return dg.SensorDefinition(
        name=name,
        description=description,
        evaluation_fn=resource_named(resource_key, evaluate),
        minimum_interval_seconds=minimum_interval_seconds,
        default_status=default_status,
        **{key: value for key, value in given.items() if value is not None},  # type: ignore[arg-type]
        **({} if target is None else target.arguments()),
    )
