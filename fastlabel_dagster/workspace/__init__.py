"""What a FastLabel workspace holds, as plain records: fetched once, kept in a file, read without network.

>>> workspace = fetch_workspace(client, {"globs": ["street-*"], "statuses": ["active"]})     # doctest: +SKIP
>>> FastLabelWorkspace.from_json(workspace.to_json()) == workspace                          # doctest: +SKIP
True
"""

from fastlabel_dagster.api.task_statuses import TASK_STATUSES
from fastlabel_dagster.workspace.fetch import DEFAULT_PARTS, PARTS, Part, fetch_workspace
from fastlabel_dagster.workspace.records import (
    AnnotationClass,
    AutoAnnotationJob,
    Dataset,
    EvaluationJob,
    ImportHistory,
    Model,
    Project,
    TrainingJob,
)
from fastlabel_dagster.workspace.selector import ProjectSelector
from fastlabel_dagster.workspace.snapshot import FastLabelWorkspace
from fastlabel_dagster.workspace.state import (
    DatasetState,
    ProjectState,
    dataset_state,
    project_state,
)

__all__ = [
    "DEFAULT_PARTS",
    "PARTS",
    "TASK_STATUSES",
    "AnnotationClass",
    "AutoAnnotationJob",
    "Dataset",
    "DatasetState",
    "EvaluationJob",
    "FastLabelWorkspace",
    "ImportHistory",
    "Model",
    "Part",
    "Project",
    "ProjectSelector",
    "ProjectState",
    "TrainingJob",
    "dataset_state",
    "fetch_workspace",
    "project_state",
]
