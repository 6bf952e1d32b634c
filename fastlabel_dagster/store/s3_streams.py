"""Reading and writing one S3 object in pieces."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from fastlabel_dagster.store.s3_errors import error_code, s3_said_plainly

READ_BYTES = 4 << 20
PART_BYTES = 16 << 20
_PARTS_AT_ONCE = 3  # with the part being filled, four of them in memory
_TRIES = 4


class S3Reader(io.RawIOBase):
    """An S3 object as a seekable raw file; reads ranges, all of the same version of the object (by its ETag).

    Raises FileNotFoundError on creation when there is no such object, and StoreError when it changes while being read.
    """

    def __init__(self, client: Any, bucket: str, key: str, endpoint: str) -> None:
        super().__init__()
        self._client = client
        self._bucket = bucket
        self._key = key
        self._endpoint = endpoint
        self._position = 0
        self._etag = ""
        self._ahead = b""  # the beginning of the object, which the first request brings along
        self._size = 0
        self._open()

    @property
    def name(self) -> str:
        """Where the object lies."""
        return f"s3://{self._bucket}/{self._key}"

    def _open(self) -> None:
        with s3_said_plainly(self.name, self._endpoint):
            try:
                answer, self._ahead = self._get(0, READ_BYTES)
            except self._client.exceptions.ClientError as error:
                if error_code(error) not in {"InvalidRange", "416"}:
                    raise
                return  # empty: there is no first byte to ask for
        self._etag = str(answer.get("ETag", ""))
        total = str(answer.get("ContentRange", "")).rpartition("/")[2]
        self._size = int(total) if total.isdigit() else int(answer["ContentLength"])

    def _get(self, start: int, size: int) -> tuple[Any, bytes]:
        """One ranged request and its whole body; a connection that breaks off in the middle is tried again."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        request = {"Bucket": self._bucket, "Key": self._key, "Range": f"bytes={start}-{start + size - 1}"}
        if self._etag:
            request["IfMatch"] = self._etag
        for tries_left in reversed(range(_TRIES)):
            answer = self._client.get_object(**request)
            try:
                return answer, answer["Body"].read()
            except (HTTPClientError, IncompleteReadError):
                if not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError("a position before the beginning")
        self._position = base + offset
        return self._position

    def readall(self) -> bytes:
        pieces = []
        while piece := self._read(self._size - self._position):
            pieces.append(piece)
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self._read(len(view))
        view[: len(data)] = data
        return len(data)

    def _read(self, wanted: int) -> bytes:
        wanted = min(wanted, self._size - self._position, 4 * READ_BYTES)
        if wanted <= 0:
            return b""
        if self._position < len(self._ahead):
            data = self._ahead[self._position : self._position + wanted]
        else:
            with s3_said_plainly(self.name, self._endpoint):
                data = self._get(self._position, wanted)[1]
        self._position += len(data)
        return data


class Upload(Protocol):
    """Where a finished stream goes: the whole content when it is small, else the parts already sent."""

    def small(self, data: bytes) -> None: ...
    def large(self, finish: Callable[[], None], size: int) -> None: ...


class S3Sink(io.RawIOBase):
    """A raw stream to one object: small content is kept and sent whole, large content goes out part by part.

    A multipart upload is invisible until it is completed, so nothing can be read before the writer decides.
    """

    def __init__(self, client: Any, target: dict[str, str], kind: str, endpoint: str, upload: Upload) -> None:
        super().__init__()
        self._client = client
        self._target = target  # Bucket and Key, as boto3 takes them
        self._kind = kind
        self._endpoint = endpoint
        self._upload = upload
        self._buffer = bytearray()
        self._size = 0
        self._upload_id = ""
        self._parts: list[Future[str]] = []
        self._running: deque[Future[str]] = deque()
        self._pool: ThreadPoolExecutor | None = None
        self._abandoned = False

    @property
    def name(self) -> str:
        """Where the object will lie."""
        return f"s3://{self._target['Bucket']}/{self._target['Key']}"

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._buffer += view
        self._size += len(view)
        while len(self._buffer) >= PART_BYTES:
            self._send(bytes(self._buffer[:PART_BYTES]))
            del self._buffer[:PART_BYTES]
        return len(view)

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        if self._abandoned:
            self._abort()
        elif not self._upload_id:
            self._upload.small(bytes(self._buffer))
        else:
            if self._buffer:
                self._send(bytes(self._buffer))
            self._buffer.clear()
            self._upload.large(self._finish, self._size)

    def abandon(self) -> None:
        """Let nothing of it be seen: after this, closing discards, and parts already sent are removed."""
        if self._abandoned:
            return
        self._abandoned = True
        if self.closed:
            self._abort()

    def _send(self, part: bytes) -> None:
        if not self._upload_id:
            with s3_said_plainly(self.name, self._endpoint):
                begun = self._client.create_multipart_upload(**self._target, ContentType=self._kind)
            self._upload_id = begun["UploadId"]
            self._pool = ThreadPoolExecutor(_PARTS_AT_ONCE, thread_name_prefix="store-part")
        if len(self._running) >= _PARTS_AT_ONCE:
            self._running.popleft().result()
        assert self._pool is not None
        future = self._pool.submit(self._send_part, len(self._parts) + 1, part)
        self._parts.append(future)
        self._running.append(future)

    def _send_part(self, number: int, part: bytes) -> str:
        with s3_said_plainly(self.name, self._endpoint):
            answer = self._client.upload_part(**self._target, UploadId=self._upload_id, PartNumber=number, Body=part)
        return str(answer["ETag"])

    def _finish(self) -> None:
        if self._abandoned or not self._upload_id:
            return
        parts = [{"ETag": part.result(), "PartNumber": number} for number, part in enumerate(self._parts, 1)]
        with s3_said_plainly(self.name, self._endpoint):
            self._client.complete_multipart_upload(
                **self._target, UploadId=self._upload_id, MultipartUpload={"Parts": parts}
            )
        self._upload_id = ""
        self._shut()

    def _abort(self) -> None:
        self._shut()
        self._buffer.clear()
        if not self._upload_id:
            return
        upload_id, self._upload_id = self._upload_id, ""
        try:
            self._client.abort_multipart_upload(**self._target, UploadId=upload_id)
        except Exception:  # noqa: BLE001 - something worse is being reported; the next writer removes old uploads
            return

    def _shut(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._pool = None
