"""FastLabel to the store (the mirror of a project's labels, its images) and back (publishing to a FastLabel dataset).

>>> report = sync_project(client, "street-scenes", "data/street")     # doctest: +SKIP
>>> LabelMirror("data/street/labels").read(version=report.version)    # doctest: +SKIP
"""

from fastlabel_dagster.sync.delta import ConcurrentSync
from fastlabel_dagster.sync.folder_state import refuse_foreign_images
from fastlabel_dagster.sync.identity import ForeignMirror
from fastlabel_dagster.sync.images import ImagesReport, download_images
from fastlabel_dagster.sync.mirror import LabelMirror
from fastlabel_dagster.sync.project_sync import SyncReport, sync_project
from fastlabel_dagster.sync.publish import PublishReport, dataset_digest, publish_dataset
from fastlabel_dagster.sync.quarantine import Quarantined
from fastlabel_dagster.sync.snapshot import MirrorVersion

__all__ = [
    "ConcurrentSync",
    "ForeignMirror",
    "ImagesReport",
    "LabelMirror",
    "MirrorVersion",
    "PublishReport",
    "Quarantined",
    "SyncReport",
    "dataset_digest",
    "download_images",
    "publish_dataset",
    "refuse_foreign_images",
    "sync_project",
]
