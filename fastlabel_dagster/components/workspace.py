"""``FastLabelWorkspaceComponent``: every project of a workspace, from a file that one command refreshes."""

# Annotations are not postponed here: Dagster derives the YAML's schema from them.
import gc
import hashlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import dagster as dg
from dagster.components import DefsStateConfig, DefsStateConfigArgs, ResolvedDefsStateConfig
from pydantic import BaseModel, Field
from typing_extensions import Self

from fastlabel_dagster._compat import OpSpec, TranslationFn, TranslationFnResolver, component_spec
from fastlabel_dagster.assets.steps import FastLabelStep, StepOptions
from fastlabel_dagster.assets.workspace import build_fastlabel_assets_definitions, load_fastlabel_asset_specs
from fastlabel_dagster.components.attributes import S3Attributes, WorkspaceSensorAttributes
from fastlabel_dagster.components.connection import FastLabelConnection, quiet_model, refuse_tokens
from fastlabel_dagster.components.scaffolder import FastLabelWorkspaceScaffolder
from fastlabel_dagster.components.state_file import refresh
from fastlabel_dagster.components.translation import ComponentTranslator
from fastlabel_dagster.partitions import project_partitions
from fastlabel_dagster.sensors import build_approval_sensor, build_import_sensor, build_workspace_sensor
from fastlabel_dagster.translator import DagsterFastLabelTranslator, FastLabelAssetProps
from fastlabel_dagster.workspace import DEFAULT_PARTS, FastLabelWorkspace, ProjectSelector, fetch_workspace

log = logging.getLogger("fastlabel_dagster.components")

#: Keys of what belongs to no project begin with this, or with another name in a workspace of another name.
_OF_THE_WORKSPACE = "fastlabel_workspace"
#: What fetches the state file; said wherever the file is missing.
REFRESH = "dg utils refresh-defs-state"


def _only_by_command(state: DefsStateConfigArgs) -> DefsStateConfigArgs:
    """``state``, which only the command refreshes, unless somebody has said otherwise: to Dagster every ``dg`` command
    is development, and where nothing is said it would ask the API whenever the code location loads."""
    return state if "refresh_if_dev" in state.model_fields_set else state.model_copy(update={"refresh_if_dev": False})


@dg.scaffold_with(FastLabelWorkspaceScaffolder)
class FastLabelWorkspaceComponent(dg.StateBackedComponent, dg.Model, dg.Resolvable):
    """The projects, datasets, jobs and models of a FastLabel workspace as assets.

    What the workspace holds is fetched by ``dg utils refresh-defs-state`` (when an image is built, or by hand) and kept
    in a file. Loading the code location reads that file and touches no network.

    Example (``defs.yaml``)::

        type: fastlabel_dagster.FastLabelWorkspaceComponent
        attributes:
          fastlabel: {access_token_env: FASTLABEL_ACCESS_TOKEN}
          selector: {globs: ["street-*"], statuses: [active]}
          store: s3://acme-labels
          exports: [coco]

    Without ``store`` the assets are external: what FastLabel holds is shown, and made by nobody here.

    With thousands of projects, ``partitions: project`` mirrors and exports them as one set of assets with a partition
    for each project, which loads at once; a sensor keeps the partitions in step with the workspace.
    """

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
        default=None, description="For an s3:// store, where the environment says too little."
    )
    exports: Sequence[str | Mapping[str, Any]] = Field(
        default=("coco", "yolo"), description="Formats to write of each project; needs `store`."
    )
    dataset: str | None = Field(
        default=None,
        description="Dataset that the approved tasks of each project are published to; {slug} stands for its slug.",
        examples=["train-{slug}"],
    )
    partitions: Literal["project"] | None = Field(
        default=None,
        description="`project`: one set of assets for all projects, with a partition for each; needs `store`. There is "
        "no `dataset` then, and nothing of single `projects`.",
    )
    projects: Mapping[str, Mapping[str, Any]] | None = Field(
        default=None,
        description="By slug, what is different for a project: exports, dataset, store, checks …",
        examples=[{"street-night": {"exports": ["yolo"]}}],
    )
    checks: Mapping[str, Any] | bool | None = Field(
        default=None, description="Checks by name, of each project: true, false, or a mapping of their options."
    )
    sensors: WorkspaceSensorAttributes = Field(
        default_factory=WorkspaceSensorAttributes, description="Which sensors there are."
    )
    running: bool = Field(default=False, description="Sensors run from the start; else they are switched on in the UI.")
    op: OpSpec | None = Field(
        default=None,
        description="Of the steps: `pool` (default fastlabel), `tags`, `backfill_policy`, and `name`, which is part of "
        "the names of ops, sensors and the workspace's own assets: two workspaces in one code location need two.",
    )
    translation: Annotated[
        TranslationFn[FastLabelAssetProps] | None,
        TranslationFnResolver[FastLabelAssetProps](lambda props: {"props": props}),
    ] = Field(
        default=None,
        description="Changes every asset's spec, as in FastLabelProjectComponent. It is evaluated for every asset, "
        "which takes about a millisecond each: for thousands of assets, override get_asset_spec in Python.",
    )
    resource_key: str = Field(
        default="fastlabel",
        description="Under which key the resource is put into the definitions. Two connections need two keys.",
    )
    defs_state: ResolvedDefsStateConfig = Field(
        default_factory=DefsStateConfigArgs.local_filesystem,
        description="Where the state is kept. `refresh_if_dev: true` fetches it with every `dg` command; else only "
        "`dg utils refresh-defs-state` fetches it.",
    )

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What Dagster reads the YAML with: as Dagster derives it, but its words about a mistake repeat no value."""
        return quiet_model(super().model())

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What is shown in the list of component types."""
        return component_spec(
            description="A FastLabel workspace: its projects, datasets, jobs and models, from a refreshed state file.",
            tags=["fastlabel", "annotation", "machine-learning"],
            produces=["asset", "asset_check", "job", "resource", "sensor"],
        )

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        """Make the component of its YAML. Raises ValueError when a token is written there."""
        refuse_tokens(attributes)
        return super().load(attributes, context)

    @property
    def name(self) -> str:
        """What ops and sensors of this instance are named after."""
        return (self.op and self.op.name) or "fastlabel"

    @property
    def defs_state_config(self) -> DefsStateConfig:
        """The state's key follows from what is fetched, and of which instance: different contents, different keys.

        It holds no character that Dagster would replace in the name of the file, so different keys are different files.
        """
        asked = {
            "connection": self.fastlabel.model_dump(include={"access_token_env", "base_url"}),
            "selector": asdict(ProjectSelector.of(self.selector)),
            "include": sorted(self.include or DEFAULT_PARTS),
            "instance": [self.name, self.resource_key],
        }
        told = json.dumps(asked, sort_keys=True, ensure_ascii=True)
        digest = hashlib.blake2b(told.encode(), digest_size=12).hexdigest()
        return DefsStateConfig.from_args(_only_by_command(self.defs_state), default_key=f"FastLabelWorkspace-{digest}")

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
        """The definitions of what the file holds. Asks nobody; without a file, says what to run."""
        resources = {self.resource_key: self.fastlabel.resource()}
        if state_path is None or not state_path.is_file():
            return self._nothing_yet("it was never fetched", resources)
        try:
            workspace = FastLabelWorkspace.from_json(state_path.read_bytes())
        except ValueError as error:
            return self._nothing_yet(str(error), resources)
        collecting = gc.isenabled()
        gc.disable()  # thousands of definitions, all of which stay: looking for garbage costs a third more
        try:
            return self._defs(workspace, resources)
        finally:
            if collecting:
                gc.enable()

    def _defs(self, workspace: FastLabelWorkspace, resources: Mapping[str, Any]) -> dg.Definitions:
        translator = ComponentTranslator(self.get_asset_spec)
        if self.store is None:
            if self.partitions is not None:
                raise ValueError("partitions are of what is made of the projects: give store too")
            specs = load_fastlabel_asset_specs(workspace, translator)
            return dg.Definitions(assets=specs, sensors=self._sensors(workspace, translator), resources=resources)
        op = self.op or OpSpec()
        assets = build_fastlabel_assets_definitions(
            workspace,
            store=self.store,
            exports=self.exports,
            dataset=self.dataset,
            projects=self.projects,
            translator=translator,
            partitions=self.partitions,
            name=self.name,
            resource_key=self.resource_key,
            pool=op.pool or "fastlabel",
            steps=StepOptions(op.name, op.tags or {}, op.backfill_policy, self.execute),
            checks=self.checks,
            s3=self.s3.options() if self.s3 else None,
        )
        sync = self._sync_of_a_project(assets) if self.partitions is not None else None
        return dg.Definitions(
            assets=assets,
            jobs=[] if sync is None else [sync],
            sensors=self._sensors(workspace, translator, sync),
            resources=resources,
        )

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

    def execute(self, context: dg.AssetExecutionContext, step: FastLabelStep) -> Iterator[Any]:
        """Runs one step; override it to do something before, after or with the results of every step."""
        yield from step.run()

    def get_asset_spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        """The spec of one asset: the package's own, changed by ``translation``. Override it for the rest."""
        spec = DagsterFastLabelTranslator().get_asset_spec(props)
        if spec.key.path[0] == _OF_THE_WORKSPACE:
            spec = spec.replace_attributes(key=dg.AssetKey([f"{self.name}_workspace", *spec.key.path[1:]]))
        return spec if self.translation is None else self.translation(spec, props)

    def _sensors(
        self, workspace: FastLabelWorkspace, translator: ComponentTranslator, sync: Any = None
    ) -> list[dg.SensorDefinition]:
        """``sync`` is the job of a partition, where there are partitions."""
        wanted, partitioned = self.sensors, self.partitions is not None
        common: dict[str, Any] = {
            "resource_key": self.resource_key,
            "translator": translator,
            "minimum_interval_seconds": wanted.interval_seconds,
            "default_status": dg.DefaultSensorStatus.RUNNING if self.running else dg.DefaultSensorStatus.STOPPED,
        }
        sensors = []
        if wanted.projects or (wanted.projects is None and partitioned):
            sensors.append(
                build_workspace_sensor(
                    project_partitions(self._projects_name) if partitioned else None,
                    selector=ProjectSelector.of(self.selector),
                    delete=wanted.delete_partitions,
                    job=sync,
                    name=f"{self.name}_workspace",
                    **common,
                )
            )
        if self.store is None or partitioned:
            return sensors
        if wanted.imports and workspace.slugs:
            sensors.append(build_import_sensor(workspace.slugs, name=f"{self.name}_imports", **common))
        own = self.projects or {}
        published = [slug for slug in workspace.slugs if (own.get(slug) or {}).get("dataset", self.dataset)]
        if wanted.approvals is not None and published:
            sensors.append(
                build_approval_sensor(published, every=wanted.approvals, name=f"{self.name}_approvals", **common)
            )
        return sensors

    def _nothing_yet(self, why: str, resources: Mapping[str, Any]) -> dg.Definitions:
        """An asset that says what to run, and a warning: an empty code location would say nothing."""
        words = f"Nothing is known of this FastLabel workspace yet ({why}). Run `{REFRESH}`, then reload."
        log.warning("%s: %s", self.name, words)
        notice = dg.AssetSpec(
            dg.AssetKey([f"{self.name}_workspace", "not_fetched"]),
            description=words,
            group_name="fastlabel_workspace",
            kinds={"fastlabel"},
            metadata={"run this": REFRESH, "why": why, "state key": self.defs_state_config.key},
        )
        return dg.Definitions(assets=[notice], resources=resources)
