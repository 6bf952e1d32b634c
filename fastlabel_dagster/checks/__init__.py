"""Asset checks: what must hold of a project's labels before anybody trains on them.

Most are computed in the same step and the same pass as the asset they belong to. What needs the API or files is a check
of its own, and can be put on any asset: ``build_*_check``. ``checks=`` of
:func:`~fastlabel_dagster.assets.build_fastlabel_project_assets` says which there are and how strict they are; see
:class:`CheckPlan`, and :data:`CHECKS` for all of them.
"""

from fastlabel_dagster.checks.catalogue import CHECKS, CheckKind, Option
from fastlabel_dagster.checks.images import build_image_checks
from fastlabel_dagster.checks.label_findings import LABEL_CHECKS, LabelFindings
from fastlabel_dagster.checks.leakage import build_dataset_leakage_check, build_leakage_check, split_of
from fastlabel_dagster.checks.mirror import freshness_policy, mirror_results
from fastlabel_dagster.checks.names import (
    APPROVAL_SHARE_CHECK,
    AUTO_ANNOTATION_CHECK,
    CLASS_CHANGES_CHECK,
    CLASS_COVERAGE_CHECK,
    CLASS_DRIFT_CHECK,
    CLASSES_CHECK,
    COMMENTS_CHECK,
    CONNECTION_CHECK,
    DUPLICATES_CHECK,
    EMPTY_CHECK,
    EVALUATION_CHECK,
    FRESHNESS_CHECK,
    GATE_CHECK,
    GEOMETRY_CHECK,
    IMAGES_CHECK,
    IMPORTS_CHECK,
    LEAKAGE_CHECK,
    PARITY_CHECK,
    POLLING_CHECK,
    QUARANTINE_CHECK,
    TRAINING_CHECK,
)
from fastlabel_dagster.checks.plan import CheckPlan, CheckSetting, ChecksLike, checks_of_one
from fastlabel_dagster.checks.remote import build_comments_check, build_connection_check, build_remote_checks
from fastlabel_dagster.checks.standalone import build_label_checks

__all__ = [
    "APPROVAL_SHARE_CHECK",
    "AUTO_ANNOTATION_CHECK",
    "CHECKS",
    "CLASSES_CHECK",
    "CLASS_CHANGES_CHECK",
    "CLASS_COVERAGE_CHECK",
    "CLASS_DRIFT_CHECK",
    "COMMENTS_CHECK",
    "CONNECTION_CHECK",
    "DUPLICATES_CHECK",
    "EMPTY_CHECK",
    "EVALUATION_CHECK",
    "FRESHNESS_CHECK",
    "GATE_CHECK",
    "GEOMETRY_CHECK",
    "IMAGES_CHECK",
    "IMPORTS_CHECK",
    "LABEL_CHECKS",
    "LEAKAGE_CHECK",
    "PARITY_CHECK",
    "POLLING_CHECK",
    "QUARANTINE_CHECK",
    "TRAINING_CHECK",
    "CheckKind",
    "CheckPlan",
    "CheckSetting",
    "ChecksLike",
    "LabelFindings",
    "Option",
    "build_comments_check",
    "build_connection_check",
    "build_dataset_leakage_check",
    "build_image_checks",
    "build_label_checks",
    "build_leakage_check",
    "build_remote_checks",
    "checks_of_one",
    "freshness_policy",
    "mirror_results",
    "split_of",
]
