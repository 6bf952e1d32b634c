"""The work of the assets as ops, for people who build jobs instead of assets.

Each op takes what it works on from its config, the resource ``fastlabel``, and an optional ``start`` that only says
"after this"; each returns plain JSON values. Ops that follow one another in a story take each other's results too:
``train_op(published=publish_op())``, ``evaluate_op(trained=train_op(…))``.

- ``mirror``: :func:`sync_op`, :func:`download_images_op`, :func:`export_op`, :func:`publish_op`; ``convert``:
  :func:`convert_op`, any format into any other.
- ``tasks``: :func:`create_tasks_op` from a dataset folder, :func:`update_statuses_op`; ``appendix``:
  :func:`import_appendix_op`, :func:`export_appendix_op`.
- ``jobs``: :func:`train_op`, :func:`evaluate_op`, :func:`auto_annotate_op`, :func:`import_s3_op`,
  :func:`import_dicom_op`, and :func:`wait_op` for any of them.
- ``models``: :func:`execute_endpoint_op`, :func:`report_results_op`.
- ``graphs``: :func:`sync_graph`, :func:`retrain_graph`.

Example:
    >>> import dagster as dg
    >>> from fastlabel_dagster import ops
    >>> @dg.job
    ... def nightly():
    ...     ops.export_op(start=ops.download_images_op(start=ops.sync_op()))
"""

from fastlabel_dagster.ops.appendix import export_appendix_op, import_appendix_op
from fastlabel_dagster.ops.convert import convert_op
from fastlabel_dagster.ops.graphs import retrain_graph, sync_graph
from fastlabel_dagster.ops.jobs import (
    auto_annotate_op,
    evaluate_op,
    import_dicom_op,
    import_s3_op,
    train_op,
    wait_op,
)
from fastlabel_dagster.ops.mirror import download_images_op, export_op, publish_op, sync_op
from fastlabel_dagster.ops.models import execute_endpoint_op, report_results_op
from fastlabel_dagster.ops.tasks import create_tasks_op, update_statuses_op

__all__ = [
    "auto_annotate_op",
    "convert_op",
    "create_tasks_op",
    "download_images_op",
    "evaluate_op",
    "execute_endpoint_op",
    "export_appendix_op",
    "export_op",
    "import_appendix_op",
    "import_dicom_op",
    "import_s3_op",
    "publish_op",
    "report_results_op",
    "retrain_graph",
    "sync_graph",
    "sync_op",
    "train_op",
    "update_statuses_op",
    "wait_op",
]
