"""What the checks are called, in Dagster and in ``checks=`` alike.

The asset each belongs to is said in :mod:`fastlabel_dagster.checks.catalogue`.
"""

from __future__ import annotations

#: On ``fastlabel/<slug>``: the newest import of the project finished.
IMPORTS_CHECK = "imports_succeeded"
#: On ``fastlabel/<slug>``: the sensors can read the project.
POLLING_CHECK = "polling_healthy"
#: On ``fastlabel/<slug>``: no more comments than wanted are open.
OPEN_COMMENTS_CHECK = "no_open_comments"
#: On ``fastlabel/<slug>``: no more tasks than wanted are sent back or declined.
SENT_BACK_CHECK = "few_sent_back"
#: On ``fastlabel/<slug>``: address and token are good, and the project is seen.
CONNECTION_CHECK = "connection"

#: On ``<slug>/labels``.
PARITY_CHECK = "parity"
QUARANTINE_CHECK = "quarantine"
FRESHNESS_CHECK = "freshness"
APPROVAL_SHARE_CHECK = "approval_share"
COMMENTS_CHECK = "comments"

#: On ``<slug>/classes``.
CLASS_CHANGES_CHECK = "class_changes"

#: On ``<slug>/annotations``.
GEOMETRY_CHECK = "geometry"
DUPLICATES_CHECK = "duplicates"
CLASSES_CHECK = "classes_known"
EMPTY_CHECK = "empty_tasks"
CLASS_COVERAGE_CHECK = "class_coverage"
CLASS_DRIFT_CHECK = "class_drift"

#: On ``<slug>/images``.
IMAGES_CHECK = "images"

#: On exports that are split, and on ``<slug>/dataset``.
LEAKAGE_CHECK = "leakage"

#: On ``<slug>/model``: the newest training finished.
TRAINING_CHECK = "training_succeeded"
#: On ``<slug>/evaluation``: the evaluation finished; and its model is good enough to go on with.
EVALUATION_CHECK = "evaluation_succeeded"
GATE_CHECK = "gate"
#: On ``<slug>/auto_annotation``.
AUTO_ANNOTATION_CHECK = "auto_annotation_succeeded"
