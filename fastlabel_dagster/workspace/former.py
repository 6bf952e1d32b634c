"""What a look at a workspace could not have, taken from the look before: what fails once takes no assets away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from fastlabel_dagster.workspace.records import Dataset, Project
from fastlabel_dagster.workspace.snapshot import FastLabelWorkspace

_OF_WORKSPACE = ("datasets", "trainings", "evaluations")

Kept = TypeVar("Kept", Project, Dataset, FastLabelWorkspace)


def with_former(
    now: FastLabelWorkspace, former: FastLabelWorkspace, say: Callable[[str], object] | None = None
) -> FastLabelWorkspace:
    """``now``, and what could not be had of it as ``former`` has it.

    That are lists of the workspace and parts of a project whose requests failed or were left out, the number of objects
    of datasets that could not be counted, and projects that are missing because the list of them was cut short or gave
    them no slug. What went wrong still stands in ``problems``, ``errors`` and ``left_out``; ``kept`` says what was kept
    and of when it is. Nothing the API has answered is replaced, and a project or dataset that was made anew under an
    old name takes nothing over.

    Args:
        former: an earlier look with the same selection and the same parts. One at another API is left alone.
        say: called with a sentence for each part that is kept.
    """
    if former.base_url != now.base_url:
        return now
    failed = [part for part in _OF_WORKSPACE if part in now.problems]
    made = _with(now, former, former.fetched_at, {part: _together(now, former, part) for part in failed})
    before = {project.slug: project for project in former.projects}
    projects = {one.slug: _project(one, before.get(one.slug), former) for one in now.projects}
    for slug, project in before.items():
        unlisted = "projects" in now.problems or f"project {project.id}" in now.problems
        if slug not in projects and unlisted:
            projects[slug] = replace(project, kept={"project": project.kept.get("project", former.fetched_at)})
    datasets = {dataset.name: dataset for dataset in former.datasets or ()}
    if made.datasets is not None:
        counted = tuple(_dataset(one, datasets.get(one.name), former, now.problems) for one in made.datasets)
        made = replace(made, datasets=counted)
    made = replace(made, projects=tuple(projects[slug] for slug in sorted(projects)))
    for what, when in _told(made):
        if say is not None:
            say(f"{what}: what was known at {when} is kept")
    return made


def left_since(now: FastLabelWorkspace, former: FastLabelWorkspace) -> Iterable[str]:
    """What has become of the projects of ``former`` that are not in ``now`` under their slug, a sentence each."""
    if former.base_url != now.base_url:
        return
    slugs = set(now.slugs)
    called_now = {project.id: project.slug for project in now.projects if project.id}
    for project in former.projects:
        slug = project.slug
        if slug in slugs:
            continue
        if (new := called_now.get(project.id)) is not None:
            yield (
                f"{slug} is called {new} now, and what is kept under its slug begins anew: assets, cursors, its folder "
                f"in the store, a dataset named after it, and with that a training. With {slug}'s store and dataset "
                f"under `projects: {{{new}: …}}`, these go on"
            )
        else:
            yield f"{slug} is not among the projects any more: its assets leave, its folder in the store stays"


def _with(now: Kept, former: Kept, fetched_at: str, values: Mapping[str, Any]) -> Kept:
    """``now`` with these values, as far as ``former`` knows more, and since when they are known."""
    had = {part: value for part, value in values.items() if value is not None and value != getattr(now, part)}
    if not had:
        return now
    kept = {part: former.kept.get(part, fetched_at) for part in had}
    return replace(now, **had, kept={**now.kept, **kept})


def _together(now: FastLabelWorkspace, former: FastLabelWorkspace, part: str) -> tuple[Any, ...] | None:
    """The records of a list, and of the former one those that are not among them; None when there is neither."""
    found: tuple[Any, ...] | None = getattr(now, part)
    before: tuple[Any, ...] | None = getattr(former, part)
    if found is None or before is None:
        return before if found is None else found
    ids = {record.id for record in found}
    return (*found, *(record for record in before if record.id not in ids))


def _project(now: Project, former: Project | None, workspace: FastLabelWorkspace) -> Project:
    if former is None or former.id != now.id:
        return now
    return _with(
        now, former, workspace.fetched_at, {part: getattr(former, part) for part in (*now.errors, *now.left_out)}
    )


def _dataset(
    now: Dataset, former: Dataset | None, workspace: FastLabelWorkspace, problems: Mapping[str, str]
) -> Dataset:
    if former is None or former.id != now.id or former is now:
        return now
    values: dict[str, Any] = {"revisions": former.revisions} if "evaluations" in problems else {}
    if now.objects is None and not now.objects_at_least:
        counted = "objects_at_least" if former.objects is None else "objects"
        values[counted] = getattr(former, counted)
    return _with(now, former, workspace.fetched_at, values)


def _told(workspace: FastLabelWorkspace) -> Iterable[tuple[str, str]]:
    """What is kept, in words, and of when it is."""
    yield from workspace.kept.items()
    for project in workspace.projects:
        for part, when in project.kept.items():
            yield f"{project.slug}: {part}", when
    for dataset in workspace.datasets or ():
        for part, when in dataset.kept.items():
            yield f"dataset {dataset.name}: {part}", when
