"""What each project of a workspace is to have: what is said of all of them, and what ``projects`` says of one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.assets.job_plans import EvaluationPlan
from fastlabel_dagster.components.names import alike
from fastlabel_dagster.loop import LoopPlan, refuse_in_part
from fastlabel_dagster.translator import dataset_name, safe_name

if TYPE_CHECKING:
    from fastlabel_dagster.workspace import FastLabelWorkspace, Project

log = logging.getLogger("fastlabel_dagster.components")

#: What fetches the state file; said wherever the file is missing or may be old.
REFRESH = "dg utils refresh-defs-state"

#: What a loop stands for; said beside one, it would be said twice.
_OF_A_LOOP = ("training", "evaluation", "auto_annotation")
#: FastLabel trains models on pictures only.
_TRAINABLE = "image_"
_NAMED = 20


@dataclass(frozen=True)
class PlannedProject:
    """One project of a workspace.

    Attributes:
        slug: of the project.
        name: begins the names of its ops and jobs.
        options: its own arguments of ``build_fastlabel_project_assets``, the loop's among them.
        loop: its labeling loop; None: it has none.
    """

    slug: str
    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    loop: LoopPlan | None = None

    @property
    def evaluation(self) -> EvaluationPlan | None:
        """How its models are measured."""
        given = self.options.get("evaluation")
        return None if given is None else EvaluationPlan.of(given)

    @property
    def has_jobs(self) -> bool:
        """Whether FastLabel is asked to do anything for it, so that somebody has to follow that."""
        return any(self.options.get(one) is not None for one in ("training", "imports"))


def planned_projects(
    workspace: FastLabelWorkspace,
    *,
    name: str | None,
    dataset: str | None,
    loop: Mapping[str, Any] | None,
    projects: Mapping[str, Mapping[str, Any]] | None,
) -> list[PlannedProject]:
    """Every project of the workspace with what is asked of it.

    A project's own ``loop`` says what differs from the loop of all; ``loop: false`` leaves the project without one. The
    loop of all is that of the projects whose type begins with ``image_``; other projects have one when they say so
    themselves. ``{slug}`` in the name of a dataset stands for the slug in the form that datasets are named in.

    A slug in ``projects`` that the workspace has not is told of in the log: the project may have been deleted.

    Args:
        name: of the workspace, where it has one of its own; begins the names of its projects then.
        dataset: of all projects; a loop without a dataset takes this one.

    Raises:
        ValueError: a loop lacks something or has too much, or two projects would be trained on one dataset.
    """
    own = projects or {}
    _tell_unknown(own, workspace)
    if loop is not None:
        refuse_in_part(loop)
    of_all = (loop or {}).get("dataset") or dataset
    if loop is not None and isinstance(of_all, str) and "{slug}" not in of_all:
        raise ValueError(
            f"loop: the models of all projects would be trained on one dataset, {of_all}; put {{slug}} into its name"
        )
    planned = [
        _planned(project, own.get(project.slug) or {}, f"{name}_" if name else "", dataset, loop)
        for project in workspace.projects
    ]
    trained: dict[str, str] = {}
    for one in planned:
        if one.loop is not None and (other := trained.setdefault(one.loop.dataset, one.slug)) != one.slug:
            raise ValueError(
                f"loop: the models of {other} and {one.slug} would be trained on one dataset, {one.loop.dataset}; put "
                "{slug} into its name, or give each project a dataset of its own"
            )
    return planned


def _planned(
    project: Project,
    own: Mapping[str, Any],
    begin: str,
    dataset: str | None,
    loop: Mapping[str, Any] | None,
) -> PlannedProject:
    options = {key: value for key, value in own.items() if key != "loop"}
    if dataset:
        options.setdefault("dataset", dataset.replace("{slug}", dataset_name(project.slug)))
    name = f"{begin}{safe_name(project.slug)}"
    wanted = own.get("loop")
    none_said = wanted is None or wanted is True
    if wanted is False or (wanted is None and (loop is None or not project.type.startswith(_TRAINABLE))):
        return PlannedProject(project.slug, name, options)
    try:
        plan = _loop(project.slug, {} if none_said else wanted, own, dataset, loop or {})
    except ValueError as error:
        raise ValueError(f"project {project.slug}: {error}") from error
    parts = {"training": plan.training, "evaluation": plan.evaluation, "auto_annotation": plan.auto_annotation}
    return PlannedProject(project.slug, name, {**options, "dataset": plan.dataset, **parts}, plan)


def _loop(slug: str, wanted: Any, own: Mapping[str, Any], dataset: str | None, of_all: Mapping[str, Any]) -> LoopPlan:
    if not isinstance(wanted, Mapping):
        return LoopPlan.of(wanted)  # which says what a loop looks like
    twice = [one for one in _OF_A_LOOP if own.get(one) is not None]
    if twice:
        raise ValueError(f"loop says what {', '.join(twice)} would say: leave one out, or write loop: false")
    asked = {
        **({"dataset": dataset} if dataset else {}),
        **of_all,
        **({"dataset": own["dataset"]} if own.get("dataset") else {}),
        **wanted,
    }
    if isinstance(asked.get("dataset"), str):
        asked["dataset"] = asked["dataset"].replace("{slug}", dataset_name(slug))
    return LoopPlan.of(asked)


def _tell_unknown(own: Mapping[str, Any], workspace: FastLabelWorkspace) -> None:
    there = set(workspace.slugs)
    unknown = [slug for slug in own if slug not in there]
    if not unknown:
        return
    told = ", ".join(f"{slug}{alike(workspace.slugs, str(slug))}" for slug in unknown)
    more = f" and {len(there) - _NAMED} more" if len(there) > _NAMED else ""
    log.warning(
        "projects: nothing is made of %s: the selected workspace has no such project. It has %s%s. If it is new, "
        "run `%s`.",
        told,
        ", ".join(workspace.slugs[:_NAMED]) or "none",
        more,
        REFRESH,
    )
