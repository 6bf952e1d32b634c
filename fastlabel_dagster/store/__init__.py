"""Where bytes live: a local folder or ``s3://bucket/prefix``, with one face.

    >>> store = open_store("data/street")
    >>> with store.new_folder("coco", last=["report.json"]) as folder:
    ...     folder.write_bytes("annotations.json", b"{}")
    ...     folder.write_bytes("report.json", b"{}")

Importing this costs nothing but the standard library; boto3 and pyarrow load when they are used.
"""

from __future__ import annotations

from fastlabel_dagster.store.errors import StoreError
from fastlabel_dagster.store.images import ImageFolder
from fastlabel_dagster.store.interface import FolderWriter, S3Options, Store, StoredObject
from fastlabel_dagster.store.names import disk_names, renamed
from fastlabel_dagster.store.opening import open_store

__all__ = [
    "FolderWriter",
    "ImageFolder",
    "S3Options",
    "Store",
    "StoreError",
    "StoredObject",
    "disk_names",
    "open_store",
    "renamed",
]
