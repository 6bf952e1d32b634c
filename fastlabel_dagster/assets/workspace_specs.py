"""What a workspace holds as specs: names and metadata of projects, classes, imports, datasets, jobs and models."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import dagster as dg

from fastlabel_dagster.translator import DagsterFastLabelTranslator, FastLabelAssetProps, findable

if TYPE_CHECKING:
    from fastlabel_dagster.workspace import FastLabelWorkspace, Project

log = logging.getLogger("fastlabel_dagster.assets")

#: With what Dagster, or we, refuse a definition. A translator makes specs of what people have typed at FastLabel (a
#: title, say), so that one project or dataset can be refused where all others are fine.
REFUSED = (ValueError, dg.DagsterInvalidDefinitionError, dg.DagsterInvariantViolationError)


class InformedTranslator(DagsterFastLabelTranslator):
    """Tells another translator what the workspace knows of each project, and puts it into the specs' metadata."""

    def __init__(self, translator: DagsterFastLabelTranslator | None, workspace: FastLabelWorkspace) -> None:
        self._translator = translator or DagsterFastLabelTranslator()
        self._projects = {project.slug: project for project in workspace.projects}
        self._known: dict[tuple[Any, ...], dg.AssetSpec] = {}
        self._keys: dict[tuple[str, str, str], dg.AssetKey] = {}

    def get_asset_spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        """The other translator's spec, asked for once for each asset."""
        key = (props.project, props.part, props.name, props.deps)
        if key not in self._known:
            self._known[key] = spec = self._spec(props)
            self._keys.setdefault(key[:3], spec.key)
        return self._known[key]

    def key_of(self, props: FastLabelAssetProps) -> dg.AssetKey:
        """The key of the asset, from any spec that was made of it."""
        known = self._keys.get((props.project, props.part, props.name))
        return super().key_of(props) if known is None else known

    def _spec(self, props: FastLabelAssetProps) -> dg.AssetSpec:
        project = self._projects.get(props.project)
        if project is None:
            return self._translator.get_asset_spec(props)
        informed = replace(
            props,
            title=project.name,
            project_type=project.type,
            project_status=project.status,
            metadata=_project_metadata(project) if props.part == "project" else props.metadata,
        )
        return _completed(self._translator.get_asset_spec(informed), informed)


def props_of(slug: str, part: str, name: str | None = None, **more: Any) -> FastLabelAssetProps:
    """What a translator is told about ``part`` of a project, or of the workspace when ``slug`` is empty."""
    return FastLabelAssetProps(project=slug, part=part, name=part if name is None else name, **more)


def _completed(spec: dg.AssetSpec, props: FastLabelAssetProps) -> dg.AssetSpec:
    """``spec`` with the tags, dependencies and metadata of ``props`` that its translator has left out."""
    spec = findable(spec, props)
    known = {dep.asset_key for dep in spec.deps}
    deps = [key for key in props.deps if key not in known]
    if not deps and props.metadata.keys() <= spec.metadata.keys():
        return spec  # as a rule; a spec made anew costs as much as the first one
    return spec.replace_attributes(deps=[*spec.deps, *deps], metadata={**props.metadata, **spec.metadata})


def _project_metadata(project: Project) -> dict[str, Any]:
    told: dict[str, Any] = {
        "fastlabel/project_id": project.id,
        "fastlabel/project_name": project.name,
        "fastlabel/project_type": project.type,
        "fastlabel/project_status": project.status,
        "fastlabel/updated_at": project.updated_at,
        "fastlabel/error": project.error,
        "fastlabel/left_out": ", ".join(project.left_out),
        "fastlabel/kept": _kept(project.kept),
    }
    told = {key: value for key, value in told.items() if value}
    if project.tasks is not None:
        told["fastlabel/tasks"] = project.tasks
    told |= {f"fastlabel/tasks/{status}": count for status, count in project.statuses.items()}
    if project.classes is not None:
        told["fastlabel/classes"] = len(project.classes)
    return told


def _kept(kept: Mapping[str, str]) -> str:
    """What is of an earlier look, as it could not be had in the last one: ``classes of 2025-01-31T10:00:00+00:00``."""
    return ", ".join(f"{part} of {when}" for part, when in kept.items())


def project_specs(project: Project, translator: DagsterFastLabelTranslator) -> list[dg.AssetSpec]:
    """The project itself first, then what else FastLabel has of it."""
    slug = project.slug
    own = translator.get_asset_spec(props_of(slug, "project", slug))
    specs = [own]

    def add(part: str, metadata: Mapping[str, Any]) -> None:
        props = props_of(slug, part, deps=(own.key,), metadata=metadata)
        specs.append(_completed(translator.get_asset_spec(props), props))

    if project.classes is not None:
        types = sorted({one.type for one in project.classes})
        add("annotation_classes", {"fastlabel/classes": len(project.classes), "fastlabel/types": ", ".join(types)})
    if project.imports:
        newest = project.imports[0]
        add(
            "import_histories",
            {
                "fastlabel/imports": len(project.imports),
                "fastlabel/newest_import": newest.id,
                "fastlabel/newest_status": newest.status,
                "fastlabel/newest_at": newest.created_at,
            },
        )
    if project.auto_annotations:
        job = project.auto_annotations[0]
        add(
            "auto_annotation_jobs",
            {
                "fastlabel/jobs": len(project.auto_annotations),
                "fastlabel/newest_job": job.id,
                "fastlabel/newest_status": job.status,
                "fastlabel/newest_model": job.model,
            },
        )
    return specs


def workspace_specs(workspace: FastLabelWorkspace, translator: DagsterFastLabelTranslator) -> list[dg.AssetSpec]:
    """Datasets, trainings, models and evaluations, as far as the workspace holds them."""
    datasets = [spec for _, spec in dataset_specs(workspace, translator)]
    return [*datasets, *job_specs(workspace, translator)]


def _of_workspace(
    translator: DagsterFastLabelTranslator,
    part: str,
    name: str,
    metadata: Mapping[str, Any],
    deps: Iterable[dg.AssetKey] = (),
) -> dg.AssetSpec | None:
    """The spec of ``part``; None, and a line in the log, when Dagster refuses what the translator makes of it."""
    told = {key: value for key, value in metadata.items() if value not in (None, "")}
    try:
        props = props_of("", part, name, deps=tuple(deps), metadata=told)
        return _completed(translator.get_asset_spec(props), props)
    except REFUSED as error:
        log.warning("%s %s was left out: %s", part, name, error)
        return None


def dataset_specs(
    workspace: FastLabelWorkspace, translator: DagsterFastLabelTranslator
) -> Iterator[tuple[str, dg.AssetSpec]]:
    """The datasets by name."""
    for dataset in workspace.datasets or ():
        metadata = {
            "fastlabel/dataset_id": dataset.id,
            "fastlabel/objects": dataset.objects,
            "fastlabel/objects_at_least": None if dataset.objects is not None else dataset.objects_at_least,
            "fastlabel/revisions": ", ".join(dataset.revisions[:20]),
            "fastlabel/visibility": dataset.visibility,
            "fastlabel/license": dataset.license,
            "fastlabel/updated_at": dataset.updated_at,
            "fastlabel/error": dataset.error or workspace.problems.get("datasets"),
            "fastlabel/kept": _kept({**_only("datasets", workspace.kept), **dataset.kept}),
        }
        spec = _of_workspace(translator, "workspace_dataset", dataset.name, metadata)
        if spec is not None:
            yield dataset.name, spec


def job_specs(workspace: FastLabelWorkspace, translator: DagsterFastLabelTranslator) -> Iterator[dg.AssetSpec]:
    """Trainings with the models they made, and evaluations."""

    def spec(part: str, name: str, metadata: Mapping[str, Any], deps: Iterable[dg.AssetKey] = ()) -> list[dg.AssetSpec]:
        made = _of_workspace(translator, part, name, metadata, deps)
        return [] if made is None else [made]

    if workspace.trainings is not None:
        trainings = spec("training_jobs", "training_jobs", _jobs_metadata(workspace, "trainings"))
        yield from trainings
        # what counts is the name in the key: `a/b` and `a-b` are one there
        names = [model.name.replace("/", "-") for model in workspace.models]
        several = Counter(names)
        for model, name in zip(workspace.models, names, strict=True):
            yield from spec(
                "workspace_model",
                name if name and several[name] == 1 else f"{name}-{model.id}".replace("/", "-"),
                {
                    "fastlabel/model_id": model.id,
                    "fastlabel/model_name": model.name,
                    "fastlabel/model_url": model.url,
                    "fastlabel/base_model": model.base_model,
                    "fastlabel/training_job": model.training_job,
                    "fastlabel/model_classes": ", ".join(model.classes[:100]),
                    "fastlabel/created_at": model.created_at,
                },
                [one.key for one in trainings],
            )
    if workspace.evaluations is not None:
        yield from spec("evaluation_jobs", "evaluation_jobs", _jobs_metadata(workspace, "evaluations"))


def _jobs_metadata(workspace: FastLabelWorkspace, part: Literal["trainings", "evaluations"]) -> dict[str, Any]:
    jobs: Sequence[Any] = getattr(workspace, part) or ()
    told = {
        "fastlabel/jobs": len(jobs),
        "fastlabel/error": workspace.problems.get(part),
        "fastlabel/kept": _kept(_only(part, workspace.kept)),
    }
    newest = max(jobs, key=lambda job: str(job.created_at), default=None)
    if newest is None:
        return told
    return {
        **told,
        "fastlabel/newest_job": newest.id,
        "fastlabel/newest_status": newest.status,
        "fastlabel/newest_at": newest.created_at,
    }


def _only(part: str, kept: Mapping[str, str]) -> dict[str, str]:
    return {part: kept[part]} if part in kept else {}
