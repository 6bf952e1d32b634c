"""``ProjectPlan``: everything the assets of one project need to know, checked when the code location loads."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from keyword import iskeyword
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import dagster as dg

from fastlabel_dagster.api.task_statuses import refuse_mistyped
from fastlabel_dagster.assets.import_plans import ImportPlans
from fastlabel_dagster.assets.job_plans import AutoAnnotationPlan, EvaluationPlan, TrainingPlan
from fastlabel_dagster.assets.steps import StepOptions
from fastlabel_dagster.checks import CheckPlan
from fastlabel_dagster.formats import registry
from fastlabel_dagster.translator import DagsterFastLabelTranslator, FastLabelAssetProps, findable, safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.store import S3Options, Store

__all__ = [
    "AutoAnnotationPlan",
    "EvaluationPlan",
    "ExportLike",
    "ExportPlan",
    "ImportPlans",
    "ProjectPlan",
    "TrainingPlan",
]

#: Names of folders in a store that are taken.
_TAKEN = (
    "labels",
    "classes",
    "tasks",
    "annotations",
    "images",
    "dataset",
    "training",
    "model",
    "evaluation",
    "auto_annotation",
    "s3_import",
    "dicom_import",
    "approved_tasks",
    "dataset_objects",
    "parquet",
    "quarantine",
)

#: Part -> what it is made from, where that is the same for every project.
_MADE_FROM: Mapping[str, tuple[str, ...]] = {
    "labels": ("project",),
    "classes": ("labels",),
    "tasks": ("labels",),
    "annotations": ("labels",),
    "images": ("labels",),
    "approved_tasks": ("labels",),
    "dataset_objects": ("dataset",),
    "training": ("dataset",),
    "model": ("training",),
    "evaluation": ("model", "dataset"),
    "auto_annotation": ("evaluation",),
}

#: ``"coco"``, or ``{"format": "yolo", "task": "segment", …}``.
ExportLike: TypeAlias = str | Mapping[str, Any]


@dataclass(frozen=True)
class ExportPlan:
    """One export: name of folder and asset, format, tasks of which status, with pictures or not, format options, and
    the version of the mirror it is pinned to (None: always the newest)."""

    name: str
    format: str
    status: str | tuple[str, ...] | None = None
    images: bool = True
    options: Mapping[str, Any] = field(default_factory=dict)
    labels_version: int | None = None

    @classmethod
    def of(cls, export: ExportLike) -> ExportPlan:
        """Read an entry of ``exports``. Raises ValueError for an unknown format or option, a value the option does not
        take, or a taken name."""
        if not isinstance(export, str) and not (isinstance(export, Mapping) and "format" in export):
            raise ValueError(f"an export is the name of a format, or a mapping that names its 'format', not {export!r}")
        given = {"format": export} if isinstance(export, str) else dict(export)
        kind = given.pop("format")
        known = [written for written in registry.written_names() if written != "parquet"]  # it is written in any case
        if kind not in known:
            raise ValueError(f"unknown export format {kind!r}; known are {', '.join(known)}")
        name = str(given.pop("name", kind))
        if name in _TAKEN or not re.fullmatch(r"[A-Za-z0-9_-]*[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise ValueError(
                f"an export cannot be called {name!r}, for Dagster makes the name of a step from it: use the letters "
                f"a-z and A-Z, digits, - and _, and none of {', '.join(_TAKEN)}"
            )
        status = given.pop("status", None)
        if status is not None and not isinstance(status, str):
            if not isinstance(status, list | tuple) or not all(isinstance(one, str) for one in status):
                raise ValueError(f"status of {name} is a status or a list of them, not {status!r}")
            status = tuple(status)
        refuse_mistyped(f"status of {name}:", status)
        images = given.pop("images", True)
        if not isinstance(images, bool):
            raise ValueError(f"images of {name} is true or false, not {images!r}")
        pinned = given.pop("labels_version", None)
        if pinned is not None and (isinstance(pinned, bool) or not isinstance(pinned, int) or pinned < 0):
            raise ValueError(f"labels_version of {name} is a version of the mirror, a number from 0, not {pinned!r}")
        registry.check_export(kind, given)
        return cls(name, kind, status, images, given, pinned)


#: What the simpler arguments of a project may be: the types, the words for them, and whether None will do.
_KINDS: Mapping[str, tuple[type, str, bool]] = {
    "dataset": (str, "the name of a dataset", True),
    "publish_status": (str, "the status of the tasks to publish, such as approved", False),
    "prune": (bool, "true or false", False),
    "previews": (bool, "true or false", False),
    "group_name": (str, "a text", True),
    "resource_key": (str, "a text", False),
    "pool": (str, "the name of a pool", True),
}


def refuse_kinds(**given: object) -> None:
    """Raises ValueError for an argument of the wrong kind, or an empty text."""
    for name, (kind, words, optional) in _KINDS.items():
        value = given.get(name)
        if name not in given or (value is None and optional):
            continue
        if not isinstance(value, kind) or (isinstance(value, str) and not value.strip()):
            raise ValueError(f"{name} is {words}, not {_shown(value)}")
        if name == "publish_status":
            refuse_mistyped("publish_status:", str(value))
    key = given.get("resource_key")
    if isinstance(key, str) and (not key.isidentifier() or iskeyword(key)):
        raise ValueError(
            f"resource_key is a name such as fastlabel, of letters, digits and underscores, for steps have a parameter "
            f"of that name; not {key!r}"
        )


def checked_store(store: object) -> str:
    """Where a project is written, as text. Raises ValueError for what is no folder and no URL, and for a URL of a kind
    that no store is opened at."""
    from fastlabel_dagster.store.opening import refuse_uri

    if not isinstance(store, str | Path) or not str(store).strip():
        raise ValueError(f"store is a folder or s3://bucket/prefix, not {_shown(store)}")
    refuse_uri(store)
    return str(store)


def _s3_options(given: object) -> S3Options:
    """``S3Options``, or a mapping of them, as it stands in YAML."""
    from fastlabel_dagster.store import S3Options

    if isinstance(given, S3Options):
        return given
    known = [one.name for one in fields(S3Options)]
    if not isinstance(given, Mapping) or not all(name in known for name in given):
        raise ValueError(f"s3 is a mapping of {', '.join(known)}, not {_shown(given)}")
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise ValueError(f"s3: {name} is a text, not {value!r}")
    return S3Options(**given)


def _shown(value: object) -> str:
    """``value`` as YAML has it where Python has another word."""
    return "null" if value is None else repr(value)


@dataclass(frozen=True)
class ProjectPlan:
    """See :func:`fastlabel_dagster.assets.build_fastlabel_project_assets` for the meaning of the fields."""

    project: str
    store: str
    exports: tuple[ExportPlan, ...] = ()
    dataset: str | None = None
    training: TrainingPlan | None = None
    evaluation: EvaluationPlan | None = None
    auto_annotation: AutoAnnotationPlan | None = None
    imports: ImportPlans = field(default_factory=ImportPlans)
    publish_status: str = "approved"
    prune: bool = True
    checks: CheckPlan = field(default_factory=CheckPlan.of)
    translator: DagsterFastLabelTranslator = field(default_factory=DagsterFastLabelTranslator)
    group_name: str | None = None
    resource_key: str = "fastlabel"
    s3: S3Options | None = None
    pool: str | None = None
    previews: bool = True
    steps: StepOptions = field(default_factory=StepOptions)

    @classmethod
    def of(
        cls,
        project: str,
        exports: Iterable[ExportLike],
        store: str | Path,
        *,
        training: TrainingPlan | Mapping[str, Any] | None,
        evaluation: EvaluationPlan | Mapping[str, Any] | None = None,
        auto_annotation: AutoAnnotationPlan | Mapping[str, Any] | None = None,
        imports: ImportPlans | Mapping[str, Any] | None = None,
        **rest: Any,
    ) -> ProjectPlan:
        """Check and gather. Raises ValueError with what is wrong; touches neither network nor disk."""
        if not isinstance(project, str) or not project or "/" in project:
            raise ValueError(f"{project!r} is no project slug")
        if not isinstance(exports, Iterable) or isinstance(exports, str | Mapping):
            raise ValueError(
                f"exports is a list of formats such as [coco, yolo], or [] for none; not {_shown(exports)}"
            )
        refuse_kinds(**rest)
        # the plain Parquet tables are there anyway: naming them among the exports changes nothing
        plans = tuple(ExportPlan.of(one) for one in exports if one not in ("parquet", {"format": "parquet"}))
        names = [plan.name for plan in plans]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"two exports are called {', '.join(doubled)}; give one of them a name of its own")
        alike: dict[str, str] = {}
        for name in names:  # Dagster makes names of steps and outputs of them, and knows no hyphens there
            other = alike.setdefault(name.replace("-", "_"), name)
            if other != name:
                raise ValueError(f"exports {other} and {name} are one name to Dagster; give one of them another")
        if training is not None and not rest.get("dataset"):
            raise ValueError("training needs a dataset to train on: give dataset= too")
        if evaluation is not None and training is None:
            raise ValueError("evaluation needs a training whose model it evaluates: give training= too")
        if auto_annotation is not None and evaluation is None:
            raise ValueError("auto_annotation follows an evaluation: give evaluation= too, {} will do")
        if rest.get("s3") is not None:
            rest["s3"] = _s3_options(rest["s3"])
        return cls(
            project=project,
            store=checked_store(store),
            exports=plans,
            training=None if training is None else TrainingPlan.of(training),
            evaluation=None if evaluation is None else EvaluationPlan.of(evaluation),
            auto_annotation=None if auto_annotation is None else AutoAnnotationPlan.of(auto_annotation),
            imports=ImportPlans.of(imports),
            **rest,
        )

    @property
    def name(self) -> str:
        """What the names of the ops begin with: the slug, unless the step options say otherwise."""
        return self.steps.name or safe_name(self.project)

    def step(
        self, run: Callable[..., Any], name: str, specs: Sequence[dg.AssetSpec], **more: Any
    ) -> dg.AssetsDefinition:
        """``run(context, fastlabel, …)`` as the step that makes the assets ``specs``; ``name`` is its op's last part.

        ``more`` goes to ``dg.multi_asset``: ``check_specs``, ``pool``, ``can_subset`` …
        """
        return self.steps.asset(
            run,
            project=self.project,
            name=f"{self.name}_{name}",
            specs=specs,
            resource_key=self.resource_key,
            **more,
        )

    def props(self, part: str, export: ExportPlan | None = None) -> FastLabelAssetProps:
        """What the translator is told about ``part``; of an export, which one is said too."""
        told: dict[str, Any] = {"name": self.project if part == "project" else part, "options": self._options(part)}
        if export is not None:
            told = {"name": export.name, "format": export.format, "options": dict(export.options)}
        deps = self._made_from(part, export)
        return FastLabelAssetProps(project=self.project, part=part, store=self.store, deps=deps, **told)

    def _options(self, part: str) -> dict[str, Any]:
        if part in ("dataset", "dataset_objects"):
            return {"dataset": self.dataset}
        if part == "training" and self.training is not None:
            return {"base_model": self.training.base_model_name}
        return {}

    def _made_from(self, part: str, export: ExportPlan | None) -> tuple[dg.AssetKey, ...]:
        """The lineage of a project: what ``part`` is made from."""
        if part == "project":
            wanted = {"s3_import": self.imports.s3, "dicom_import": self.imports.dicom}
            return tuple(self.key(name) for name, plan in wanted.items() if plan is not None)
        pictures = ("images",) if export is None or export.images else ()
        above = {"export": ("labels", *pictures), "dataset": ("labels", "images")}.get(part, _MADE_FROM.get(part, ()))
        gates = self.gates if part in ("export", "dataset") else []
        return (*(self.key(name) for name in above), *gates)

    def spec(self, part: str, export: ExportPlan | None = None) -> dg.AssetSpec:
        """The asset's spec from the translator, with what it is made from added and ``group_name`` applied; of an
        export, which one is said too."""
        props = self.props(part, export)
        spec = findable(self.translator.get_asset_spec(props), props)
        known = {dep.asset_key for dep in spec.deps}
        added = [dg.AssetDep(key) for key in props.deps if key not in known]
        if added:
            spec = spec.replace_attributes(deps=[*spec.deps, *added])
        return spec.replace_attributes(group_name=self.group_name) if self.group_name else spec

    def key(self, part: str, export: ExportPlan | None = None) -> dg.AssetKey:
        """The key of ``part`` as the translator names it, which is told the same as when the asset's spec is made: it
        may make a key of anything."""
        asked = part if export is None else f"export {export.name}"
        if asked not in self._keys:
            self._keys[asked] = self.translator.key_of(self.props(part, export))
        return self._keys[asked]

    @cached_property
    def _keys(self) -> dict[str, dg.AssetKey]:
        """Those that were asked for; each is asked for several times, and a translator may be slow."""
        return {}

    @property
    def gates(self) -> list[dg.AssetKey]:
        """The tables whose checks block: exports and dataset wait for them, and are not made when they fail."""
        return [self.key(part) for part in ("classes", "annotations") if self.checks.blocks(part)]

    def open_store(self) -> Store:
        """The store; opened when a step runs, never at load."""
        from fastlabel_dagster.store import open_store

        return open_store(self.store, self.s3)
