"""Ready graphs of the ops: the nightly sync, and the whole way from approved tasks to annotated ones."""

from typing import Any

import dagster as dg

from fastlabel_dagster.ops.jobs import auto_annotate_op, evaluate_op, train_op
from fastlabel_dagster.ops.mirror import download_images_op, export_op, publish_op, sync_op


@dg.graph(description="Bring a project's mirror up to date, download its pictures, write an export.")
def sync_graph() -> Any:
    """``sync_op`` -> ``download_images_op`` -> ``export_op``; returns the export's report.

    Example:
        >>> from fastlabel_dagster import ops
        >>> nightly = ops.sync_graph.to_job(name="nightly")
    """
    return export_op(start=download_images_op(start=sync_op()))


@dg.graph(description="Sync, publish what is approved, train, evaluate, and let the model that passes annotate.")
def retrain_graph() -> Any:
    """``sync_op`` -> ``download_images_op`` -> ``publish_op`` -> ``train_op`` -> ``evaluate_op`` ->
    ``auto_annotate_op``, each taking the result of the one before; returns the last one's.

    ``train_op`` has to be told to wait (``wait: true``), as the evaluation needs its model. Run again with nothing
    newly approved, it attaches to the jobs there are.
    """
    published = publish_op(start=download_images_op(start=sync_op()))
    return auto_annotate_op(evaluated=evaluate_op(trained=train_op(published=published)))
