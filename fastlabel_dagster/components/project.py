"""``FastLabelProjectComponent``: one FastLabel project as assets, checks, sensors, jobs and schedule, by YAML."""

# Annotations are not postponed here: Dagster derives the YAML's schema from them.
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from typing_extensions import Self

from fastlabel_dagster._compat import OpSpec, TranslationFn, TranslationFnResolver, component_spec
from fastlabel_dagster.assets.steps import FastLabelStep, StepContext, StepOptions
from fastlabel_dagster.components.attributes import S3Attributes, ScheduleAttributes, SensorAttributes
from fastlabel_dagster.components.connection import FastLabelConnection, refuse_tokens
from fastlabel_dagster.components.contradictions import refuse_contradictions_of_one
from fastlabel_dagster.components.mistakes import no_tokens, told_plainly
from fastlabel_dagster.components.names import refuse_name
from fastlabel_dagster.components.neighbours import refuse_shared_project
from fastlabel_dagster.components.scaffolder import FastLabelProjectScaffolder
from fastlabel_dagster.components.translation import ComponentTranslator
from fastlabel_dagster.project import build_fastlabel_project
from fastlabel_dagster.translator import DagsterFastLabelTranslator, FastLabelAssetProps, safe_name


@dg.scaffold_with(FastLabelProjectScaffolder)
class FastLabelProjectComponent(dg.Component, dg.Model, dg.Resolvable):
    """One FastLabel project: its labels mirrored and versioned, exported, checked, watched, and trained on.

    Example (``defs.yaml``)::

        type: fastlabel_dagster.components.FastLabelProjectComponent
        attributes:
          fastlabel: {access_token_env: FASTLABEL_ACCESS_TOKEN}
          project: street-scenes
          store: s3://acme-labels/street
          exports: [coco, {format: yolo, task: detect, split: {train: 0.9, val: 0.1}}]

    To do something around every step, subclass it and use the subclass in the YAML::

        class Ours(FastLabelProjectComponent):
            def execute(self, context, step):
                context.log.info("%s begins", step.name)
                for result in super().execute(context, step):
                    yield result
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # a token in the wrong place is not repeated

    fastlabel: FastLabelConnection = Field(
        default_factory=FastLabelConnection,
        description="Where the API is, and the name of the environment variable that holds the access token.",
        examples=[{"access_token_env": "FASTLABEL_ACCESS_TOKEN"}],
    )
    project: str = Field(description="Slug of the project, as in its URL in FastLabel.", examples=["street-scenes"])
    store: str = Field(
        description="Where everything is written: a folder or s3://bucket/prefix. One store for each project.",
        examples=["data/street-scenes", "s3://acme-labels/street"],
    )
    s3: S3Attributes | None = Field(
        default=None,
        description="For an s3:// store, where the environment says too little.",
        examples=[{"region": "ap-northeast-1"}],
    )
    exports: Sequence[str | Mapping[str, Any]] = Field(
        default=("coco", "yolo"),
        description="Formats to write, by name or with their options. Plain Parquet tables are written in any case.",
        examples=[["coco", {"format": "yolo", "task": "segment", "split": {"train": 0.9, "val": 0.1}}]],
    )
    dataset: str | None = Field(
        default=None,
        description="Dataset in FastLabel that approved tasks are published to, where there is no `loop`, which names "
        "its own. It is published when its asset is materialized.",
        examples=["street-scenes"],
    )
    publish_status: str = Field(
        default="approved",
        description="Status of the tasks that are published; needs `dataset` or `loop`, whose approvals are then those "
        "that reach this status.",
        examples=["reviewed"],
    )
    prune: bool = Field(
        default=True,
        description="Take objects out of the dataset again whose task has left that status. Only what was published "
        "from this project is ever deleted.",
    )
    loop: Mapping[str, Any] | None = Field(
        default=None,
        description="Closes the labeling loop: approvals start a retraining, the model is evaluated, a gate decides, "
        "and the model that passes annotates the tasks nobody has touched.",
        examples=[
            {
                "retrain_after": {"approved": 200},
                "dataset": "street-scenes",
                "base_model": "fastlabel_object_detection_light",
                "epoch": 300,
                "gate": {"mAP": {"no_worse_than": 0.01}},
                "auto_annotate": {"status": "registered", "confidence": 0.4},
            }
        ],
    )
    imports: Mapping[str, Any] | None = Field(
        default=None,
        description="Imports from S3 or of DICOM files as assets; see build_fastlabel_project_assets.",
        examples=[{"s3": True}],
    )
    sensors: SensorAttributes = Field(
        default_factory=SensorAttributes, description="Which sensors there are.", examples=[{"quality": True}]
    )
    schedule: ScheduleAttributes | None = Field(
        default=None, description="When to sync; without it, no schedule.", examples=[{"cron": "0 3 * * *"}]
    )
    observe: str | None = Field(
        default=None,
        description="Cron expression, in the schedule's time zone, of looks at the state the project is in, a few "
        "cheap requests each: what people change shows as a new data version. Without it, only a sync looks.",
        examples=["*/15 * * * *"],
    )
    running: bool = Field(
        default=False, description="Sensors and schedule run from the start; else they are switched on in the UI."
    )
    checks: Mapping[str, Any] | bool | None = Field(
        default=None,
        description="Which checks there are and how strict, by name: true, false, or their options; what is not named "
        "is as it is by default.",
        examples=[{"geometry": {"severity": "error", "blocking": True}, "duplicates": True, "parity": False}],
    )
    previews: bool = Field(
        default=True, description="Pictures in the metadata: contact sheets, charts, what has changed."
    )
    op: OpSpec | None = Field(
        default=None,
        description="Of all steps: `pool` (default fastlabel), `tags`, `backfill_policy`, and `name`, which begins the "
        "names of ops, jobs and sensors: two instances of one project need two.",
        examples=[{"pool": "fastlabel", "tags": {"team": "perception"}}],
    )
    translation: Annotated[
        TranslationFn[FastLabelAssetProps] | None,
        TranslationFnResolver[FastLabelAssetProps](lambda props: {"props": props}),
    ] = Field(
        default=None,
        description="Changes every asset's spec: key, key_prefix, deps, metadata, group_name, owners, tags, kinds, "
        "automation_condition, partitions_def, freshness_policy, code_version. `props` (project, part, name, store, "
        "format, options, deps) and `spec` can be used in templates.",
        examples=[{"key_prefix": "acme"}],
    )
    resource_key: str = Field(
        default="fastlabel",
        description="Under which key the resource is put into the definitions. Two connections need two keys.",
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
            description="One FastLabel project: labels, exports, checks, sensors, and the labeling loop.",
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
        """What the names of ops, jobs and sensors begin with."""
        return (self.op and self.op.name) or safe_name(self.project)

    def execute(self, context: StepContext, step: FastLabelStep) -> Iterator[Any]:
        """Runs one step of the project; override it to do something before, after or with the results of every step.

        Args:
            context: of the running step: a ``dg.AssetCheckExecutionContext`` where it only checks.
            step: ``step.project``, ``step.name`` (its op), and ``step.run()``, which does the work.

        Yields:
            what ``step.run()`` yields: ``MaterializeResult``, or ``ObserveResult`` and ``AssetCheckResult`` where
            it observes or checks.
        """
        yield from step.run()

    def get_asset_spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        """The spec of one asset: the package's own, changed by ``translation``. Override it for the rest."""
        spec = DagsterFastLabelTranslator().get_asset_spec(props)
        return spec if self.translation is None else self.translation(spec, props)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Assets, checks, sensors, jobs, schedule, resource. Asks nobody. Raises ValueError for unusable attributes."""
        with no_tokens(self, self._written):
            defs = self._defs()
            if context is not None:
                refuse_shared_project(defs.assets or (), context)
            return defs

    def _defs(self) -> dg.Definitions:
        op = self.op or OpSpec()
        refuse_name("op.name", op.name)
        refuse_contradictions_of_one(self)
        defs = build_fastlabel_project(
            self.project,
            store=self.store,
            exports=self.exports,
            dataset=self.dataset,
            publish_status=self.publish_status,
            prune=self.prune,
            previews=self.previews,
            loop=self.loop,
            nightly_at=self.schedule.cron if self.schedule else None,
            observe_at=self.observe,
            time_zone=self.schedule.time_zone if self.schedule else "UTC",
            resource=self.fastlabel.resource(),
            translator=ComponentTranslator(self.get_asset_spec),
            resource_key=self.resource_key,
            s3=self.s3.options() if self.s3 else None,
            pool=op.pool or "fastlabel",
            steps=StepOptions(op.name, op.tags or {}, op.backfill_policy, self.execute),
            checks=self.checks,
            imports=self.imports,
            quality=False if (rules := self.sensors.quality_rules) is None else rules,
            sensor_interval_seconds=self.sensors.interval_seconds,
            stuck_after=self.sensors.stuck_after,
            severity=self.sensors.severity,
            default_status=dg.DefaultSensorStatus.RUNNING if self.running else dg.DefaultSensorStatus.STOPPED,
        )
        kinds = ("imports", "approvals", "jobs")
        left_out = {f"{self.name}_{kind}" for kind in kinds if not getattr(self.sensors, kind)}
        return dg.Definitions(
            assets=defs.assets,
            jobs=defs.jobs,
            schedules=defs.schedules,
            sensors=[sensor for sensor in defs.sensors or () if sensor.name not in left_out],
            resources=defs.resources,
            asset_checks=defs.asset_checks,
        )
