"""From what a person writes (a folder, ``s3://bucket/prefix``) to a store."""

from __future__ import annotations

import re
from pathlib import Path

from fastlabel_dagster.store.interface import S3Options, Store
from fastlabel_dagster.store.local import LocalStore
from fastlabel_dagster.store.paths import checked_path

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")


def open_store(uri: str | Path | Store, s3: S3Options | None = None) -> Store:
    """The store at ``uri``. Nothing is created and no connection is made before it is used.

    Args:
        uri: a folder (``~`` is the home folder), ``file:///folder``, ``s3://bucket`` or ``s3://bucket/prefix``; a store
            is returned as it is.
        s3: how to reach S3 where boto3's own configuration should not decide; unused for a local folder.

    Raises:
        ValueError: for an empty ``uri``, another scheme, an impossible bucket name, or a prefix that is no safe path.
    """
    if isinstance(uri, Store):
        return uri
    bucket, place = _read(uri)
    if bucket is None:
        return LocalStore(Path(place))
    from fastlabel_dagster.store.s3 import S3Store

    return S3Store(bucket, place, s3 or S3Options())


def refuse_uri(uri: str | Path) -> None:
    """Raises ValueError for what :func:`open_store` would not open; loads nothing, and looks at no disk."""
    _read(uri)


def _read(uri: str | Path) -> tuple[str | None, str]:
    """The bucket and the prefix in it; of a local folder, None and the folder. Raises ValueError as open_store does."""
    if re.match(r"s3:/(?!/)", str(uri), re.IGNORECASE):
        raise ValueError("s3:// lost a slash, as it does in a pathlib.Path; give the uri as a string")
    if isinstance(uri, Path):
        return None, str(uri)
    if not uri.strip() or "\0" in uri:
        raise ValueError("a store is a folder or s3://bucket/prefix; this is empty")
    match = _SCHEME.fullmatch(uri)
    if match is None:
        return None, str(uri)
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file" and rest.startswith("/"):
        return None, rest
    if scheme != "s3":
        raise ValueError(f"a store is a folder, file:///folder or s3://bucket/prefix, not {scheme}://…")
    bucket, _, prefix = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):  # not repeated: somebody may have written s3://key:secret@bucket
        raise ValueError("s3://… names no possible bucket: 3 or more letters, digits, '-', '.', and no credentials")
    prefix = prefix.removesuffix("/")
    return bucket, checked_path(prefix) if prefix else ""
