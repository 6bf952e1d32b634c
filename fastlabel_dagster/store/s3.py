"""The store that is an S3 bucket, or the part of it below a prefix."""

from __future__ import annotations

import hashlib
import io
import mimetypes
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, cast

from fastlabel_dagster.store.errors import StoreError, said_plainly
from fastlabel_dagster.store.interface import FolderWriter, S3Options, Store, StoredObject
from fastlabel_dagster.store.mark import FOLDER_MARK, FolderMark
from fastlabel_dagster.store.paths import checked_path, is_safe_path, joined
from fastlabel_dagster.store.s3_connection import S3Connection
from fastlabel_dagster.store.s3_errors import error_code, is_missing, refusal, s3_said_plainly
from fastlabel_dagster.store.staging import Staged, staged_in

MULTIPART_BYTES = 64 << 20  # a file up to this size is one PUT, and its ETag the MD5 of its content
PART_BYTES = 16 << 20
_DELETE_AT_ONCE = 1000  # S3's own limit

_TYPES = {
    "json": "application/json",
    "jsonl": "application/x-ndjson",
    "ndjson": "application/x-ndjson",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "txt": "text/plain; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "parquet": "application/vnd.apache.parquet",
}


@dataclass(frozen=True, slots=True)
class KnownObject:
    """What a listing says of an object: enough to tell whether it has some content already."""

    size: int
    etag: str

    def holds(self, data: bytes) -> bool:
        """Whether this is ``data``. False also when the server's ETag is no MD5 (multipart, KMS encryption)."""
        return self.size == len(data) and self.etag == md5(data)


def md5(data: bytes) -> str:
    """The MD5 of the content in hex, as S3 uses it for an ETag; no matter of security."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def content_type(path: str) -> str:
    """The Content-Type for a path, by its extension."""
    extension = path.rpartition(".")[2].lower()
    return _TYPES.get(extension) or mimetypes.guess_type(path, strict=True)[0] or "application/octet-stream"


class S3Store(Store):
    """``s3://bucket/prefix``, through boto3. Made by ``open_store``; no request is sent before it is used."""

    is_local = False

    def __init__(self, bucket: str, prefix: str, options: S3Options, connection: S3Connection | None = None) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._options = options
        self._connection = connection or S3Connection(bucket, options)
        self._bucket_seen = False

    def __repr__(self) -> str:
        return f"S3Store({self.uri!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, S3Store) and (other.uri, other._options) == (self.uri, self._options)

    def __hash__(self) -> int:
        return hash((self.uri, self._options))

    def __reduce__(self) -> tuple[object, ...]:
        return (S3Store, (self._bucket, self._prefix, self._options))

    @property
    def uri(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}" if self._prefix else f"s3://{self._bucket}"

    @property
    def bucket(self) -> str:
        """The bucket's name."""
        return self._bucket

    @property
    def client(self) -> Any:
        """boto3's client for this store."""
        return self._connection.client

    @property
    def endpoint(self) -> str:
        """The server's URL as shown in errors."""
        return self._connection.endpoint

    @property
    def local_path(self) -> Path:
        raise StoreError(f"{self.uri} is no local folder; use the store's own methods, or a local store", self.uri)

    def at(self, *parts: str) -> S3Store:
        below = joined(*parts)
        if not below:
            return self
        prefix = f"{self._prefix}/{below}" if self._prefix else below
        return S3Store(self._bucket, prefix, self._options, self._connection)

    def key_of(self, path: str) -> str:
        """The object's key in the bucket. Raises ValueError for an unsafe path."""
        checked_path(path)
        return f"{self._prefix}/{path}" if self._prefix else path

    def uri_of(self, path: str) -> str:
        return f"s3://{self._bucket}/{self.key_of(path)}" if path else self.uri

    def reaches(self, other: S3Store) -> bool:
        """Whether a request to this store's server, with its credentials, can name an object of the other."""
        return self._options == other._options

    def storage_options(self) -> dict[str, str]:
        return self._connection.storage_options()

    def exists(self, path: str) -> bool:
        return self.known(path) is not None

    def known(self, path: str) -> KnownObject | None:
        """Size and ETag of an object, None when there is none. One request."""
        key, uri = self.key_of(path), self.uri_of(path)
        client = self.client
        with s3_said_plainly(uri, self.endpoint):
            try:
                head = client.head_object(Bucket=self._bucket, Key=key)
            except client.exceptions.ClientError as error:
                if not is_missing(error):
                    raise
                self._require_bucket()  # a HEAD does not say which of the two is missing
                return None
        return KnownObject(int(head["ContentLength"]), str(head.get("ETag", "")).strip('"'))

    def read_bytes(self, path: str) -> bytes:
        with self.open_read(path) as file:
            return file.read()

    def open_read(self, path: str) -> BinaryIO:
        from fastlabel_dagster.store.s3_streams import READ_BYTES, S3Reader

        key = self.key_of(path)
        reader = S3Reader(self.client, self._bucket, key, self.endpoint)
        return cast(BinaryIO, io.BufferedReader(reader, READ_BYTES))

    def write_bytes(self, path: str, data: bytes) -> None:
        key, uri = self.key_of(path), self.uri_of(path)
        client = self.client
        with s3_said_plainly(uri, self.endpoint):
            client.put_object(Bucket=self._bucket, Key=key, Body=data, ContentType=content_type(path))

    def write_new(self, path: str, data: bytes) -> bool:
        key, uri = self.key_of(path), self.uri_of(path)
        client = self.client
        with s3_said_plainly(uri, self.endpoint):
            try:
                client.put_object(
                    Bucket=self._bucket, Key=key, Body=data, ContentType=content_type(path), IfNoneMatch="*"
                )
            except client.exceptions.ClientError as error:
                # 412: there is one; 409: another such write, or a delete, is going on at this moment
                if error_code(error) in {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}:
                    return False
                raise
        return True

    def write_file(self, path: str, local: Path) -> None:
        from boto3.exceptions import Boto3Error
        from boto3.s3.transfer import TransferConfig

        key, uri = self.key_of(path), self.uri_of(path)
        client = self.client
        with said_plainly(str(local)):
            size = local.stat().st_size
            source = local.open("rb")
        with source, s3_said_plainly(uri, self.endpoint):
            if size <= MULTIPART_BYTES:
                client.put_object(Bucket=self._bucket, Key=key, Body=source, ContentType=content_type(path))
                return
            config = TransferConfig(MULTIPART_BYTES, max_concurrency=4, multipart_chunksize=PART_BYTES)
            extra = {"ContentType": content_type(path)}
            try:
                client.upload_fileobj(source, self._bucket, key, ExtraArgs=extra, Config=config)
            except Boto3Error as error:  # the transfer manager wraps what the server said
                cause = error.__cause__ or error.__context__
                if cause is not None:
                    raise cause from error
                raise StoreError(
                    f"cannot use {uri}: the upload failed ({type(error).__name__}); try again", uri
                ) from error

    @contextmanager
    def staged(self, path: str) -> Iterator[Staged]:
        self.key_of(path)  # a path no object can have is refused before anything is written
        with TemporaryDirectory(prefix="fastlabel-") as folder:
            with staged_in(Path(folder)) as staged:
                yield staged
            self.write_file(path, staged.path)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        if prefix:
            checked_path(prefix.rstrip("/") if prefix.endswith("/") and not prefix.endswith("//") else prefix)
        for path, known in self.known_objects(prefix):
            yield StoredObject(path, known.size)

    def known_objects(self, prefix: str = "") -> Iterator[tuple[str, KnownObject]]:
        """The paths beginning with ``prefix``, with size and ETag, in order; one request for every thousand."""
        root = f"{self._prefix}/" if self._prefix else ""
        client = self.client
        pages = iter(client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=root + prefix))
        while True:
            with s3_said_plainly(self.uri, self.endpoint):
                page = next(pages, None)
            if page is None:
                return
            for entry in page.get("Contents", []):
                path = str(entry["Key"])[len(root) :]
                if is_safe_path(path):  # "photos/" markers, temporary objects, and keys no path can name are left out
                    yield path, KnownObject(int(entry["Size"]), str(entry.get("ETag", "")).strip('"'))

    def delete(self, paths: Iterable[str]) -> None:
        keys = (self.key_of(path) for path in paths)
        self.delete_keys(keys)

    def delete_keys(self, keys: Iterable[str]) -> None:
        """Delete objects by their whole keys, a thousand a request. Missing ones are no error."""
        remaining = iter(keys)
        while batch := list(islice(remaining, _DELETE_AT_ONCE)):
            request = {"Objects": [{"Key": key} for key in batch], "Quiet": True}
            client = self.client
            with s3_said_plainly(self.uri, self.endpoint):
                answer = client.delete_objects(Bucket=self._bucket, Delete=request)
            for failed in answer.get("Errors", []):
                if failed.get("Code") != "NoSuchKey":
                    where = f"s3://{self._bucket}/{failed.get('Key', '')}"
                    raise refusal(str(failed.get("Code", "")), where, str(failed.get("Message", "")))

    def copy_from(self, source: S3Store, source_path: str, path: str) -> None:
        """Copy an object on the server, without its bytes passing through here."""
        origin = {"Bucket": source.bucket, "Key": source.key_of(source_path)}
        client = self.client
        with s3_said_plainly(source.uri_of(source_path), self.endpoint):
            client.copy_object(
                Bucket=self._bucket,
                Key=self.key_of(path),
                CopySource=origin,
                ContentType=content_type(path),
                MetadataDirective="REPLACE",
            )

    def new_folder(
        self,
        path: str = "",
        *,
        last: Collection[str] = (),
        replace: bool = False,
        derived: Collection[str] = (),
    ) -> FolderWriter:
        from fastlabel_dagster.store.s3_folder import S3FolderWriter

        return S3FolderWriter(self.at(path), last, replace=replace, derived=derived)

    def read_mark(self) -> FolderMark | None:
        data = self.read_own(FOLDER_MARK)
        return None if data is None else FolderMark.from_json(data)

    def own_key(self, name: str) -> str:
        """The key of an object whose name the store keeps for itself."""
        return f"{self._prefix}/{name}" if self._prefix else name

    def read_own(self, name: str) -> bytes | None:
        """The content of such an object; None when there is none."""
        client, key = self.client, self.own_key(name)
        with s3_said_plainly(f"s3://{self._bucket}/{key}", self.endpoint):
            try:
                return bytes(client.get_object(Bucket=self._bucket, Key=key)["Body"].read())
            except client.exceptions.NoSuchKey:
                return None

    def _require_bucket(self) -> None:
        if not self._bucket_seen:
            with s3_said_plainly(self.uri, self.endpoint):
                try:
                    self.client.head_bucket(Bucket=self._bucket)
                except self.client.exceptions.ClientError as error:
                    if is_missing(error):
                        raise refusal("NoSuchBucket", self.uri) from error
                    raise
            self._bucket_seen = True
