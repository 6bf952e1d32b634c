"""How the parts of a FastLabel project are named and described as Dagster assets; override one method to change it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

#: What an asset holds: a project at FastLabel (``project``), what is made of it here (``labels`` to ``export``,
#: ``approved_tasks``, ``dataset_objects``), jobs that are started for it and the model they give, and what a workspace
#: shows (from ``annotation_classes`` on; those from ``workspace_dataset`` on belong to no project).
PARTS = (
    "project",
    "labels",
    "classes",
    "tasks",
    "annotations",
    "images",
    "export",
    "dataset",
    "training",
    "model",
    "evaluation",
    "auto_annotation",
    "s3_import",
    "dicom_import",
    "approved_tasks",
    "dataset_objects",
    "annotation_classes",
    "import_histories",
    "auto_annotation_jobs",
    "workspace_dataset",
    "workspace_model",
    "training_jobs",
    "evaluation_jobs",
)

#: What stands below a project's own key: it is at FastLabel, and not made of it.
_AT_FASTLABEL = ("annotation_classes", "import_histories", "auto_annotation_jobs")
#: What belongs to the workspace as a whole, by its place in the key.
_OF_WORKSPACE = {
    "workspace_dataset": ("datasets",),
    "workspace_model": ("models",),
    "training_jobs": (),
    "evaluation_jobs": (),
}

#: Tag of the assets whose checks block: what is downstream of them is made only after them.
GATE_TAG = "fastlabel/gate"

_PLAIN_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

_LONGEST_NAME = 50


def safe_name(slug: str) -> str:
    """``slug`` as a name Dagster accepts for ops, jobs, sensors and groups: letters, digits and underscores.

    Different slugs give different names: ``street-scenes`` becomes ``street_scenes``; a slug of another form
    (upper case, underscores, Japanese …), or of more than 50 letters, gets a short hash of itself at its end: Dagster
    takes tags of 63 letters at most, and a name is often only the beginning of one.
    """
    if _PLAIN_SLUG.fullmatch(slug) and len(slug) <= _LONGEST_NAME:
        return slug.replace("-", "_")
    readable = re.sub(r"[^A-Za-z0-9]+", "_", slug).strip("_").lower()[:40]
    mark = hashlib.blake2b(slug.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    return f"{readable or 'project'}_{mark}"


def dataset_name(slug: str) -> str:
    """``slug`` as the name of a FastLabel dataset, which takes lower-case letters, digits and hyphens only.

    A slug that fits stays as it is; another one gets a short hash of itself, as in :func:`safe_name`.
    """
    return slug if _PLAIN_SLUG.fullmatch(slug) else safe_name(slug).replace("_", "-")


def project_tag(slug: str) -> str:
    """``slug`` as the value of an asset tag: itself where Dagster allows it (ASCII letters, digits, ``-_.``, at most
    63), else its :func:`safe_name`."""
    return slug if re.fullmatch(r"[A-Za-z0-9_.-]{1,63}", slug) else safe_name(slug)


def key_part(name: str) -> str:
    """``name`` as a part of an asset key that a step can make: itself when it is of ASCII letters, digits and ``-_.``,
    else its :func:`safe_name`. Dagster makes the names of a step's outputs of the keys, and takes no others there."""
    return name if re.fullmatch(r"[A-Za-z0-9_.-]+", name) else safe_name(name)


@dataclass(frozen=True)
class FastLabelAssetProps:
    """What a translator is told about an asset.

    Attributes:
        project: the project's slug; empty for what belongs to the workspace as a whole.
        part: one of :data:`PARTS`.
        name: last part of the asset's key (``labels``, ``coco``, …; the slug for ``project``).
        store: the store's address as configured.
        format: name of the export format, for ``export``.
        options: options of the export, dataset or training.
        deps: keys of the assets it is made from, as far as they are known.
        title: what people call the project; project_type, project_status: as the API says them (``image_bbox``,
            ``active``). The three are known where the assets were made from a workspace, and empty elsewhere.
        metadata: what a workspace knows of it (counts, ids, errors). The spec gets it in any case; metadata of the
            same name that the translator gives stands before it.
    """

    project: str
    part: str
    name: str
    store: str = ""
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    deps: tuple[dg.AssetKey, ...] = ()
    title: str = ""
    project_type: str = ""
    project_status: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)


_DESCRIPTIONS = {
    "project": "The project **{project}** in FastLabel, where people label. "
    "Its data version changes when its tasks do.",
    "labels": "Versioned mirror of every task of **{project}** with its annotations, as Delta tables. "
    "An unchanged project commits nothing and keeps its version; any earlier version can be read again.",
    "classes": "Annotation classes of **{project}** as Parquet, one row per class.",
    "tasks": "Tasks of **{project}** as Parquet, one row per task, without the annotations.",
    "annotations": "Annotations of **{project}** as Parquet, one row per annotation, flat and ready for SQL.",
    "images": "What the tasks of **{project}** are made of (pictures, videos, texts, sound …), downloaded once and "
    "verified, with an index (`index.parquet`).",
    "export": "**{project}** in the {format} format, with a report of what was dropped or altered and why.",
    "dataset": "Approved tasks of **{project}** published as the FastLabel dataset training reads.",
    "training": "Training job submitted to FastLabel on the published dataset: one per change of the approved labels.",
    "model": "The trained model. Reported by a sensor when FastLabel has finished the training.",
    "evaluation": "The newest model measured on the published dataset, with the gate it has to pass.",
    "auto_annotation": "Tasks of **{project}** that nobody has touched, annotated by a model that has passed the gate.",
    "s3_import": "Pictures of the project's S3 storage imported into **{project}** as tasks.",
    "dicom_import": "A zip of DICOM files imported into **{project}** as tasks.",
    "approved_tasks": "Tasks of **{project}** that are approved, by the day of their last change.",
    "dataset_objects": "Objects of the dataset that **{project}** is published to, one Parquet file for each split.",
    "annotation_classes": "Annotation classes of **{project}**, as they are in FastLabel.",
    "import_histories": "Imports of files into **{project}**.",
    "auto_annotation_jobs": "Auto-annotations of **{project}**, running and past.",
    "workspace_dataset": "The dataset **{name}** in FastLabel.",
    "workspace_model": "The model **{name}**, trained in FastLabel.",
    "training_jobs": "Trainings of the workspace, running and past.",
    "evaluation_jobs": "Evaluations of the workspace, running and past.",
}

_KINDS: dict[str, set[str]] = {
    "project": {"fastlabel"},
    "labels": {"deltalake"},
    "classes": {"parquet"},
    "tasks": {"parquet"},
    "annotations": {"parquet"},
    "images": {"image"},
    "dataset": {"fastlabel"},
    "training": {"fastlabel"},
    "model": {"fastlabel"},
    "evaluation": {"fastlabel"},
    "auto_annotation": {"fastlabel"},
    "s3_import": {"fastlabel", "s3"},
    "dicom_import": {"fastlabel"},
    "approved_tasks": {"parquet"},
    "dataset_objects": {"parquet"},
    **{part: {"fastlabel"} for part in (*_AT_FASTLABEL, *_OF_WORKSPACE)},
}


class DagsterFastLabelTranslator:
    """Decides key, group, description, kinds, owners and tags of each asset. Override :meth:`get_asset_spec`.

    Example:
        >>> class Ours(DagsterFastLabelTranslator):
        ...     def get_asset_spec(self, props):
        ...         spec = super().get_asset_spec(props)
        ...         return spec.replace_attributes(owners=["team:perception"])
    """

    def get_asset_spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        """The spec of one asset. Dependencies of ``props.deps`` that it does not name are added to it."""
        named = {"project": props.project, "format": props.format or "", "name": props.name}
        return dg.AssetSpec(
            key=self.get_asset_key(props),
            deps=props.deps,
            description=_DESCRIPTIONS[props.part].format(**named),
            group_name=safe_name(props.project) if props.project else "fastlabel",
            kinds=set(_KINDS.get(props.part, {props.format or "folder"})),
            tags=_own_tags(props),
            metadata={**props.metadata, **({"fastlabel/project": props.project} if props.project else {})},
        )

    def get_asset_key(self, props: FastLabelAssetProps) -> dg.AssetKey:
        """``fastlabel/<slug>`` for the project itself, ``fastlabel/<slug>/<name>`` for what else FastLabel has of it,
        ``<slug>/<name>`` for what is made of it, ``fastlabel_workspace/…`` for what belongs to no project."""
        project, name = key_part(props.project), key_part(props.name)
        if props.part == "project":
            return dg.AssetKey(["fastlabel", project])
        if props.part in _AT_FASTLABEL:
            return dg.AssetKey(["fastlabel", project, name])
        if props.part in _OF_WORKSPACE:
            return dg.AssetKey(["fastlabel_workspace", *_OF_WORKSPACE[props.part], name])
        return dg.AssetKey([project, name])

    def key_of(self, props: FastLabelAssetProps) -> dg.AssetKey:
        """The key that the spec of an asset has, which may not be :meth:`get_asset_key`'s when that is overridden."""
        return self.get_asset_spec(props).key


def _own_tags(props: FastLabelAssetProps) -> dict[str, str]:
    return {
        "fastlabel/part": props.part,
        **({"fastlabel/project": project_tag(props.project)} if props.project else {}),
    }


def findable(spec: dg.AssetSpec, props: FastLabelAssetProps) -> dg.AssetSpec:
    """``spec`` with the tags that jobs, sensors and checks find an asset by, where its translator has left them out.

    ``replace_attributes(tags=…)`` replaces all tags: without this, such a translator would empty every job, unnoticed.
    """
    missing = {tag: value for tag, value in _own_tags(props).items() if tag not in spec.tags}
    return spec.replace_attributes(tags={**spec.tags, **missing}) if missing else spec


def asset_key(project: str, part: str, translator: DagsterFastLabelTranslator | None = None) -> dg.AssetKey:
    """Key of a project's asset ``part`` (any of :data:`PARTS` but ``export``), as ``translator`` names it."""
    name = project if part == "project" else part
    props = FastLabelAssetProps(project=project, part=part, name=name)
    return (translator or DagsterFastLabelTranslator()).key_of(props)
