"""``FastLabelWorkspaceComponent``: every project of a workspace, from a file that one command refreshes."""

# Annotations are not postponed here: Dagster derives the YAML's schema from them.
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs, ResolvedDefsStateConfig
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from typing_extensions import Self

from fastlabel_dagster._compat import OpSpec, TranslationFn, TranslationFnResolver, component_spec
from fastlabel_dagster.assets.built import BuiltTranslator
from fastlabel_dagster.assets.lasting import lasting
from fastlabel_dagster.assets.steps import FastLabelStep, StepContext, StepOptions
from fastlabel_dagster.assets.workspace import build_fastlabel_assets_definitions, load_fastlabel_asset_specs
from fastlabel_dagster.assets.workspace_specs import InformedTranslator
from fastlabel_dagster.components.attributes import S3Attributes, ScheduleAttributes, WorkspaceSensorAttributes
from fastlabel_dagster.components.connection import FastLabelConnection, refuse_tokens
from fastlabel_dagster.components.contradictions import refuse_contradictions
from fastlabel_dagster.components.mistakes import no_tokens, told_plainly
from fastlabel_dagster.components.names import refuse_name
from fastlabel_dagster.components.neighbours import refuse_shared_name, refuse_shared_projects
from fastlabel_dagster.components.observed import observable_workspace, observed_keys
from fastlabel_dagster.components.planned import PlannedProject, planned_projects
from fastlabel_dagster.components.scaffolder import FastLabelWorkspaceScaffolder
from fastlabel_dagster.components.state_file import advising, not_fetched, only_by_command, refresh, stored_workspace
from fastlabel_dagster.components.translation import ComponentTranslator
from fastlabel_dagster.components.watching import Watching
from fastlabel_dagster.partitions import project_partitions
from fastlabel_dagster.project_jobs import build_observation_job, build_schedule
from fastlabel_dagster.sensors import build_import_sensor, build_workspace_sensor
from fastlabel_dagster.translator import DagsterFastLabelTranslator, FastLabelAssetProps
from fastlabel_dagster.workspace import DEFAULT_PARTS, FastLabelWorkspace, ProjectSelector, fetch_workspace

log = logging.getLogger("fastlabel_dagster.components")

#: Keys of what belongs to no project begin with this, or with another name in a workspace of another name.
_OF_THE_WORKSPACE = "fastlabel_workspace"


@dg.scaffold_with(FastLabelWorkspaceScaffolder)
class FastLabelWorkspaceComponent(dg.StateBackedComponent, dg.Model, dg.Resolvable):
    """The projects, datasets, jobs and models of a FastLabel workspace as assets.

    What the workspace holds is fetched by ``dg utils refresh-defs-state`` (when an image is built, or by hand) and kept
    in a file. Loading the code location reads that file and touches no network.

    Example (``defs.yaml``)::

        type: fastlabel_dagster.components.FastLabelWorkspaceComponent
        attributes:
          fastlabel: {access_token_env: FASTLABEL_ACCESS_TOKEN}
          selector: {globs: ["street-*"], statuses: [active]}
          store: s3://acme-labels
          exports: [coco]

    Without ``store`` the assets are external: what FastLabel holds is shown, and made by nobody here.

    With thousands of projects, ``partitions: project`` mirrors and exports them as one set of assets with a partition
    for each project, which loads at once; a sensor keeps the partitions in step with the workspace.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # a token in the wrong place is not repeated

    fastlabel: FastLabelConnection = Field(
        default_factory=FastLabelConnection,
        description="Where the API is, and the name of the environment variable that holds the access token.",
        examples=[{"access_token_env": "FASTLABEL_ACCESS_TOKEN"}],
    )
    selector: str | Sequence[str] | Mapping[str, Any] | None = Field(
        default=None,
        description="Which projects: slugs and patterns, or a mapping with slugs, globs, types, statuses, exclude. "
        "Applied before anything of a project is fetched. Default: all.",
        examples=[{"globs": ["street-*"], "types": ["image_*"], "statuses": ["active"]}],
    )
    include: Sequence[str] | None = Field(
        default=None,
        description="What is fetched: classes, tasks, statuses, imports, auto_annotations of each project; datasets, "
        "objects, trainings, evaluations of the workspace. Default: all but statuses, which cost eight requests each.",
    )
    store: str | None = Field(
        default=None,
        description="A folder or s3://bucket/prefix; each project gets a folder in it. Without it nothing is mirrored.",
        examples=["data", "s3://acme-labels"],
    )
    s3: S3Attributes | None = Field(
        default=None,
        description="For an s3:// store, where the environment says too little.",
        examples=[{"region": "ap-northeast-1"}],
    )
    exports: Sequence[str | Mapping[str, Any]] = Field(
        default=("coco", "yolo"),
        description="Formats to write of each project; needs `store`.",
        examples=[["coco", "yolo"]],
    )
    dataset: str | None = Field(
        default=None,
        description="Dataset that the approved tasks of each project are published to; {slug} stands for its slug. "
        "Needs `store`.",
        examples=["train-{slug}"],
    )
    loop: Mapping[str, Any] | None = Field(
        default=None,
        description="Closes the labeling loop of each image project, as in FastLabelProjectComponent. `dataset` has "
        "{slug} in its name; left out, it is the workspace's `dataset`. In `projects`, the `loop` of a project says "
        "what differs, or false: none. Needs `store`.",
        examples=[
            {
                "retrain_after": {"approved": 200},
                "dataset": "train-{slug}",
                "base_model": "fastlabel_object_detection_light",
                "epoch": 300,
            }
        ],
    )
    partitions: Literal["project"] | None = Field(
        default=None,
        description="`project`: one set of assets for all projects, with a partition for each; needs `store`. There is "
        "no `dataset` and no `loop` then, and nothing of single `projects`.",
    )
    projects: Mapping[str, Mapping[str, Any]] | None = Field(
        default=None,
        description="By slug, what is different for a project: exports, dataset, store, checks, loop … What it says of "
        "loop and checks is added to what is said of all; everything else takes its place. Needs `store`.",
        examples=[{"street-night": {"exports": ["yolo"]}}],
    )
    checks: Mapping[str, Any] | bool | None = Field(
        default=None,
        description="Checks by name, of each project: true, false, or a mapping of their options; needs `store`. The "
        "`checks` of a project in `projects` say what differs, check by check and option by option.",
        examples=[{"geometry": {"severity": "error", "blocking": True}, "parity": False}],
    )
    sensors: WorkspaceSensorAttributes = Field(
        default_factory=WorkspaceSensorAttributes,
        description="Which sensors there are.",
        examples=[{"quality": True}],
    )
    schedule: ScheduleAttributes | None = Field(
        default=None,
        description="When to sync all projects, in one run; needs `store`. Without it, no schedule.",
        examples=[{"cron": "0 3 * * *"}],
    )
    observe: str | None = Field(
        default=None,
        description="Cron expression, in the schedule's time zone, of looks at the state projects and datasets are in, "
        "a few cheap requests each: what people change shows as a new data version. Without it, only a sync looks.",
        examples=["*/15 * * * *"],
    )
    running: bool = Field(
        default=False, description="Sensors and schedules run from the start; else they are switched on in the UI."
    )
    previews: bool = Field(
        default=True, description="Pictures in the metadata: contact sheets, charts, what has changed; needs `store`."
    )
    op: OpSpec | None = Field(
        default=None,
        description="Of all steps: `pool` (default fastlabel), `tags`, `backfill_policy`, and `name`, which is part of "
        "the names of ops, sensors and the workspace's own assets: two workspaces in one code location need two.",
        examples=[{"pool": "fastlabel"}],
    )
    translation: Annotated[
        TranslationFn[FastLabelAssetProps] | None,
        TranslationFnResolver[FastLabelAssetProps](lambda props: {"props": props}),
    ] = Field(
        default=None,
        description="Changes every asset's spec, as in FastLabelProjectComponent. It is evaluated for every asset, "
        "which takes about a millisecond each: for thousands of assets, override get_asset_spec in Python.",
        examples=[{"key_prefix": "acme"}],
    )
    resource_key: str = Field(
        default="fastlabel",
        description="Under which key the resource is put into the definitions. Two connections need two keys.",
    )
    defs_state: ResolvedDefsStateConfig = Field(
        default_factory=DefsStateConfigArgs.local_filesystem,
        description="Where the state is kept. `refresh_if_dev: true` fetches it with every `dg` command; else only "
        "`dg utils refresh-defs-state` fetches it.",
        examples=[{"management_type": "LOCAL_FILESYSTEM", "refresh_if_dev": True}],
    )

    _written: BaseModel | None = PrivateAttr(default=None)

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What Dagster reads the YAML with: as Dagster derives it, but what is wrong is told place by place, with what
        belongs there, and without a value."""
        return told_plainly(cls, super().model())

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What is shown in the list of component types."""
        return component_spec(
            description="A FastLabel workspace: its projects, datasets, jobs and models, from a refreshed state file.",
            tags=["fastlabel", "annotation", "machine-learning"],
            produces=["asset", "asset_check", "job", "resource", "schedule", "sensor"],
        )

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Make the component of its YAML. Raises ValueError when a token is written there."""
        refuse_tokens(attributes)
        component = super().load(attributes, context)
        component._written = attributes
        return component

    @property
    def name(self) -> str:
        """What ops and sensors of this instance are named after."""
        return (self.op and self.op.name) or "fastlabel"

    @property
    def defs_state_config(self) -> DefsStateConfig:
        """The state's key follows from what is fetched, and of which instance: different contents, different keys.

        It holds no character that Dagster would replace in the name of the file, so different keys are different files.
        """
        with no_tokens(self, self._written):
            selector = asdict(ProjectSelector.of(self.selector))
        asked = {
            "connection": self.fastlabel.model_dump(include={"access_token_env", "base_url"}),
            "selector": selector,
            "include": sorted(self.include or DEFAULT_PARTS),
            "instance": [self.name, self.resource_key],
        }
        told = json.dumps(asked, sort_keys=True, ensure_ascii=True)
        digest = hashlib.blake2b(told.encode(), digest_size=12).hexdigest()
        return DefsStateConfig.from_args(only_by_command(self.defs_state), default_key=f"FastLabelWorkspace-{digest}")

    def write_state_to_path(self, state_path: Path) -> None:
        """Fetch the workspace and keep it in the file. An earlier state stays when that does not succeed.

        A list that cannot be had is kept as the former state has it, and the log and the assets' metadata say so: one
        broken project takes no assets away.

        Raises:
            FastLabelError: the list of projects cannot be had.
        """
        resource = self.fastlabel.resource()
        try:
            refresh(
                state_path,
                self.defs_state_config,
                lambda former: fetch_workspace(
                    resource.client,
                    self.selector,
                    include=self.include or DEFAULT_PARTS,  # type: ignore[arg-type]  # fetch_workspace checks the names
                    former=former,
                    log=log.warning,
                ),
            )
        finally:
            resource.close()

    def build_defs_from_state(self, context: dg.ComponentLoadContext, state_path: Path | None) -> dg.Definitions:
        """The definitions of what the file holds. Asks nobody; without a file, says what to run. Raises ValueError for
        unusable attributes."""
        with no_tokens(self, self._written):
            return self._checked_defs(context, state_path)

    def _checked_defs(self, context: dg.ComponentLoadContext, state_path: Path | None) -> dg.Definitions:
        refuse_name("op.name", self.op.name if self.op else None)
        refuse_contradictions(self)
        if context is not None:
            refuse_shared_name(self, context)
        resources = {self.resource_key: self.fastlabel.resource()}
        with lasting():
            try:
                workspace = stored_workspace(state_path)
            except ValueError as error:
                notice = not_fetched(f"{self.name}_workspace", str(error), self.defs_state_config.key)
                return dg.Definitions(assets=[notice], resources=resources)
            defs = self._defs(workspace, resources)
        if context is not None:
            refuse_shared_projects(defs.assets or (), context)
        return defs

    def _defs(self, workspace: FastLabelWorkspace, resources: Mapping[str, Any]) -> dg.Definitions:
        translator = ComponentTranslator(self.get_asset_spec, made=self.store is not None, kept=not self.partitions)
        own = self.op.name if self.op else None
        planned = planned_projects(
            workspace, name=own, dataset=self.dataset, loop=self.loop, projects=self.projects if self.store else None
        )
        assets = self._assets(workspace, planned, translator)
        built = BuiltTranslator(assets, InformedTranslator(translator, workspace))
        common: dict[str, Any] = {
            "resource_key": self.resource_key,
            "minimum_interval_seconds": self.sensors.interval_seconds,
            "default_status": dg.DefaultSensorStatus.RUNNING if self.running else dg.DefaultSensorStatus.STOPPED,
        }
        partitioned, steps = self.partitions is not None, self._steps
        there = [] if partitioned else [one for one in planned if built.has(one.slug)]
        watching = Watching(self.sensors, self.name, built, there, common, self.loop, *steps)
        sync = [self._sync_of_a_project(assets)] if partitioned else []
        sensors, checks = watching.quality()
        shown_only = watching.health() if sensors and self.store is None else []
        schedules: list[dg.ScheduleDefinition] = []
        jobs = [*sync]
        if self.store is not None and not partitioned:
            sensors += watching.sensors()
            jobs += watching.jobs()
        if partitioned and self.sensors.imports:
            watched = project_partitions(self._projects_name)
            rules = {"stuck_after": self.sensors.stuck_after, **common}
            sensors.append(build_import_sensor(watched, job=sync[0], name=f"{self.name}_imports", **rules))
        if self.sensors.projects or (self.sensors.projects is None and partitioned):
            sensors.append(self._workspace_sensor(*sync, translator=built, **common))
        at: dict[str, Any] = {"time_zone": self.schedule.time_zone if self.schedule else "UTC", "running": self.running}
        if self.schedule is not None and there:
            schedules.append(build_schedule(f"{self.name}_nightly", watching.sync_of_all(), self.schedule.cron, **at))
        if self.observe is not None and (seen := observed_keys(assets)):
            look = build_observation_job(f"{self.name}_observation", seen)
            schedules.append(build_schedule(look.name, look, self.observe, **at))
        return dg.Definitions(
            assets=[*assets, *shown_only],
            asset_checks=checks,
            jobs=jobs,
            sensors=sensors,
            schedules=schedules,
            resources=resources,
        )

    def _assets(
        self, workspace: FastLabelWorkspace, planned: Sequence[PlannedProject], translator: ComponentTranslator
    ) -> Sequence[dg.AssetsDefinition | dg.AssetSpec]:
        steps, pool = self._steps
        if self.store is None:
            specs = load_fastlabel_asset_specs(workspace, translator)
            if self.observe is None:
                return specs
            look = observable_workspace(specs, workspace, translator, name=self.name, resource_key=self.resource_key)
            return steps.around(look, project="", resource_key=self.resource_key, pool=pool)
        return build_fastlabel_assets_definitions(
            workspace,
            store=self.store,
            exports=self.exports,
            dataset=self.dataset,
            projects=self.projects if self.partitions else {one.slug: one.options for one in planned if one.options},
            translator=translator,
            partitions=self.partitions,
            name=self.name,
            resource_key=self.resource_key,
            pool=pool,
            steps=steps,
            checks=self.checks,
            previews=self.previews,
            s3=self.s3.options() if self.s3 else None,
        )

    @property
    def _steps(self) -> tuple[StepOptions, str]:
        """What all steps have in common, and the pool of those that ask the API."""
        op = self.op or OpSpec()
        execute = self.execute if self.partitions else advising(self.execute)
        steps = StepOptions(op.name, op.tags or {}, op.backfill_policy, execute, self.sensors.severities)
        return steps, op.pool or "fastlabel"

    @property
    def _projects_name(self) -> str:
        """Of the set of partitions, and what its assets are named after."""
        return f"{self.name}_projects"

    def _sync_of_a_project(self, assets: Sequence[dg.AssetsDefinition | dg.AssetSpec]) -> Any:
        """The job that makes everything of one partition."""
        keys = [key for one in assets if isinstance(one, dg.AssetsDefinition) for key in one.keys]
        return dg.define_asset_job(
            f"{self.name}_sync_project",
            selection=dg.AssetSelection.assets(*keys).materializable(),
            description="Mirrors the project of the partition and writes its tables, images and exports.",
        )

    def execute(self, context: StepContext, step: FastLabelStep) -> Iterator[Any]:
        """Runs one step; override it to do something before, after or with the results of every step.

        As in ``FastLabelProjectComponent``; ``step.project`` is empty for a step that serves several projects.
        """
        yield from step.run()

    def get_asset_spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        """The spec of one asset: the package's own, changed by ``translation``. Override it for the rest."""
        spec = DagsterFastLabelTranslator().get_asset_spec(props)
        if spec.key.path[0] == _OF_THE_WORKSPACE:
            spec = spec.replace_attributes(key=dg.AssetKey([f"{self.name}_workspace", *spec.key.path[1:]]))
        return spec if self.translation is None else self.translation(spec, props)

    def _workspace_sensor(self, sync: Any = None, **common: Any) -> dg.SensorDefinition:
        """``sync`` is the job of a partition, where there are partitions."""
        return build_workspace_sensor(
            project_partitions(self._projects_name) if self.partitions is not None else None,
            selector=ProjectSelector.of(self.selector),
            delete=self.sensors.delete_partitions,
            job=sync,
            name=f"{self.name}_workspace",
            **common,
        )
