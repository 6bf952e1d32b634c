"""A folder on S3 that appears whole to whoever starts from its index: data first, index last, leftovers after."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import BinaryIO, cast

import orjson

from fastlabel_dagster.store.errors import StoreError
from fastlabel_dagster.store.interface import FolderWriter, Store
from fastlabel_dagster.store.local import LocalStore
from fastlabel_dagster.store.mark import FOLDER_MARK, FolderMark, files_of_others
from fastlabel_dagster.store.s3 import MULTIPART_BYTES, KnownObject, S3Store, content_type
from fastlabel_dagster.store.s3_errors import s3_said_plainly
from fastlabel_dagster.store.s3_streams import S3Sink
from fastlabel_dagster.store.streams import OutputStream
from fastlabel_dagster.store.transfers import Transfers

# Says "a writer of this package is, or was, at work here" and lists the files that are not its own: an interrupted run
# leaves files that no `FolderMark` knows yet.
MARK = ".folder.000000000000.partial"
_LIST_AFTER = 64  # single look-ups of one source before its whole listing is fetched instead
_FORGOTTEN = timedelta(days=1)  # a multipart upload this old belongs to no living writer


class S3FolderWriter(FolderWriter):
    """Sends what is new or different, to the final keys; see `FolderWriter` for what a reader may see meanwhile.

    Left by an exception, it removes what it had added; objects it had already replaced keep their new content.
    """

    def __init__(
        self,
        store: S3Store,
        last: Collection[str] = (),
        *,
        replace: bool = False,
        derived: Collection[str] = (),
    ) -> None:
        super().__init__(last, replace=replace, derived=derived)
        self._store = store
        self._before: dict[str, KnownObject] = {}
        self._transfers = Transfers()
        self._held: dict[str, Callable[[], None]] = {}  # the files named in `last`, until all else is there
        self._finishing: list[Callable[[], None]] = []  # multipart uploads of data, complete but for the last word
        self._streams: list[OutputStream] = []
        self._sources: dict[S3Store, _Source] = {}
        self._added: set[str] = set()
        self._mark_lock = threading.Lock()
        self._marked = False
        self._mark_found = False
        self._written_before: FolderMark | None = None
        self._replaced = False
        self._publishing = False

    def write_bytes(self, path: str, data: bytes) -> None:
        self._claim(path)
        self._count(len(data))
        self._send(path, bytes(data))

    def open(self, path: str) -> BinaryIO:
        self._claim(path)
        store = self._store
        destination = _Destination(self, path)
        target = {"Bucket": store.bucket, "Key": store.key_of(path)}
        sink = S3Sink(store.client, target, content_type(path), store.endpoint, destination)
        stream = OutputStream(sink, lambda: self._forget(path))
        self._streams.append(stream)
        return cast(BinaryIO, stream)

    def link(self, source: Store, source_path: str, path: str) -> None:
        source.uri_of(source_path)  # an unsafe path is refused now, not by a thread later
        self._claim(path)
        if path in self._last:
            self._held[path] = lambda: self._link(source, source_path, path)
        else:
            self._transfers.submit(lambda: self._link(source, source_path, path))

    def _link(self, source: Store, source_path: str, path: str) -> None:
        if isinstance(source, S3Store) and self._store.reaches(source):
            before = self._before.get(path)
            if before is not None and self._known_in(source, source_path) == before:
                return
            self._changing(path)
            self._store.copy_from(source, source_path, path)
        elif isinstance(source, LocalStore):
            self._upload_file(source, source_path, path)
        else:
            with source.open_read(source_path) as content:
                self._put(path, content.read())

    def _upload_file(self, source: LocalStore, source_path: str, path: str) -> None:
        file = source.path_of(source_path)
        if not file.is_file() or file.stat().st_size <= MULTIPART_BYTES:
            self._put(path, source.read_bytes(source_path))
        else:
            self._changing(path)
            self._store.write_file(path, file)

    def _known_in(self, source: S3Store, source_path: str) -> KnownObject | None:
        with self._mark_lock:
            known = self._sources.setdefault(source, _Source(source))
        return known.object(source_path)

    def _send(self, path: str, data: bytes) -> None:
        if path in self._last:
            self._held[path] = lambda: self._put(path, data)
        else:
            self._transfers.submit(lambda: self._put(path, data))

    def _put(self, path: str, data: bytes) -> None:
        before = self._before.get(path)
        if before is not None and before.holds(data):
            return
        self._changing(path)
        self._store.write_bytes(path, data)

    def _changing(self, path: str | None) -> None:
        """To be called before the first byte of any object changes: puts the mark, and notes what is new.

        None is the mark of the finished folder.
        """
        with self._mark_lock:
            if not self._marked:
                self._put_own(MARK, orjson.dumps(sorted(self._others)))
                self._marked = True
            if path is None or path in self._before:
                self._replaced = True
            else:
                self._added.add(path)

    def _put_own(self, name: str, data: bytes) -> None:
        store = self._store
        with s3_said_plainly(store.uri, store.endpoint):
            store.client.put_object(Bucket=store.bucket, Key=store.own_key(name), Body=data)

    def _uri(self) -> str:
        return self._store.uri

    def check(self) -> None:
        store = self._store
        self._find_others(dict(store.known_objects()), store.read_own(MARK), store.read_mark())

    def _find_others(
        self, found: Iterable[str], unfinished: bytes | None, written_before: FolderMark | None
    ) -> Collection[str]:
        """The objects that stay. Raises StoreError rather than replace what nobody proves ours."""
        if self._replace:
            return []
        if unfinished is not None:
            return _paths_in(unfinished)
        return files_of_others(found, written_before, uri=self._store.uri, last=self._last, derived=self._derived)

    def _begin(self) -> None:
        self._before = dict(self._store.known_objects())
        unfinished = self._store.read_own(MARK)
        self._marked = self._mark_found = unfinished is not None
        self._written_before = self._store.read_mark()
        self._keep(self._find_others(self._before, unfinished, self._written_before))
        self._remove_forgotten_uploads()

    def _remove_forgotten_uploads(self) -> None:
        """Abort multipart uploads a killed writer left, which cost storage and are seen by nobody."""
        client, bucket = self._store.client, self._store.bucket
        from botocore.exceptions import ClientError

        # A server that has no such listing, or credentials that may not see it, are no reason to fail.
        with s3_said_plainly(self._store.uri, self._store.endpoint), suppress(ClientError):
            prefix = self._store.own_key("")
            for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix):
                for upload in page.get("Uploads", []):
                    if upload["Initiated"] < datetime.now(timezone.utc) - _FORGOTTEN:
                        client.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])

    def _commit(self) -> None:
        for stream in self._streams:
            stream.close()
        for finish in self._finishing:
            self._transfers.submit(finish)
        self._transfers.finish()
        published = self._store.read_mark()
        if self._marked:
            self._refuse_missing()
        self._publishing = True
        mark = self._mark()
        if mark != published:
            self._changing(None)
            self._put_own(FOLDER_MARK, mark.to_json())
        for path in self._last:
            if path in self._held:
                self._held[path]()
        # Another writer may have finished meanwhile: what it has written is replaced, not somebody's own files.
        known = dict.fromkeys([*self._before, *(published.files if published is not None else ())])
        stale = [path for path in known if path not in self._files and path not in self._others]
        if stale:
            self._store.delete(stale)
        if self._marked:
            self._store.delete_keys([self._store.own_key(MARK)])

    def _refuse_missing(self) -> None:
        """Raise StoreError where data is gone: another writer of this folder has failed, and took what it had added."""
        there = {path for path, _ in self._store.known_objects()}
        missing = [path for path in self.files if path not in there and path not in self._held]
        if missing:
            uri = self._store.uri_of(missing[0])
            raise StoreError(
                f"{uri} is gone, another process writes the same folder or has removed it: run this once more", uri
            )

    def _abandon(self) -> None:
        self._transfers.abandon()
        for stream in self._streams:
            stream.abandon()
        if self._publishing:  # an index that names the new data may be in place: nothing may be taken from under it
            return
        # The error that led here matters more than one of cleaning up; the mark lets the next writer finish the job.
        with suppress(OSError):
            published = self._store.read_mark()  # what is in there now is another writer's as well
            theirs = () if published is None else published.files
            self._store.delete(sorted(self._added.difference(theirs)))
            if self._marked and not self._mark_found and not self._replaced:  # all is as it was before
                self._store.delete_keys([self._store.own_key(MARK)])


def _paths_in(unfinished: bytes) -> list[str]:
    """The files of others, as an interrupted writer has noted them."""
    try:
        paths = orjson.loads(unfinished or b"[]")
    except orjson.JSONDecodeError:
        return []
    return [path for path in paths if isinstance(path, str)] if isinstance(paths, list) else []


class _Destination:
    """What a closed stream does with its content, on behalf of a folder writer."""

    def __init__(self, writer: S3FolderWriter, path: str) -> None:
        self._writer = writer
        self._path = path

    def small(self, data: bytes) -> None:
        self._writer._count(len(data))
        self._writer._send(self._path, data)

    def large(self, finish: Callable[[], None], size: int) -> None:
        writer, path = self._writer, self._path
        writer._count(size)

        def complete() -> None:
            writer._changing(path)
            finish()

        if path in writer._last:
            writer._held[path] = complete
        else:
            writer._finishing.append(complete)


class _Source:
    """Sizes and ETags of a source store: looked up one by one at first, by listing it all when there are many."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._asked = 0
        self._listed: dict[str, KnownObject] | None = None

    def object(self, path: str) -> KnownObject | None:
        with self._lock:
            self._asked += 1
            if self._listed is None and self._asked > _LIST_AFTER:
                self._listed = dict(self._store.known_objects())
        return self._store.known(path) if self._listed is None else self._listed.get(path)
