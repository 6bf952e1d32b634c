"""Files of the sandbox, kept by content, and the signed links that hand them out for a while."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastlabel_dagster.sandbox.clock import Clock
from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.errors import Refused, SandboxError, invalid

#: How long a signed link works, in seconds of :meth:`Clock.unscaled`. The service's own figure is not documented.
LINK_SECONDS = 3600

_KEY = re.compile(r"[0-9a-f]{40}(\.[a-z0-9]{1,8})?")
_UPLOAD = re.compile(r"uploads/[0-9a-f]{32}/[^/\x00]{1,200}")


class Files:
    """Bytes below ``folder``, named by their SHA-256, and links to them signed with HMAC-SHA256."""

    def __init__(self, folder: Path, database: Database, clock: Clock) -> None:
        self.folder = folder
        self._clock = clock
        self._database = database
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "uploads").mkdir(exist_ok=True)
        except OSError as error:
            raise SandboxError(f"cannot write to the sandbox's data folder: {error}") from error
        with database.write():
            secret = database.setting("signing key")
            if secret is None:
                secret = secrets.token_hex(32)
                database.set_setting("signing key", secret)
        self._secret = bytes.fromhex(secret)

    def add(self, content: bytes, name: str) -> str:
        """Keep ``content``; answers its key. ``name`` gives the extension, from which the media type follows."""
        key = _key(hashlib.sha256(content).hexdigest(), name)
        target = self.path(key)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=target.parent)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(temporary).replace(target)
        return key

    def add_file(self, source: Path) -> str:
        """Keep a file of the disk, by hard link where the disk allows it; answers its key."""
        digest = hashlib.sha256()
        with source.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
        key = _key(digest.hexdigest(), source.name)
        target = self.path(key)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            try:
                os.link(source, target)
            except FileExistsError:
                return key  # another thread kept the same bytes first
            except OSError:  # another disk, or one without hard links
                temporary = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
                shutil.copyfile(source, temporary)
                temporary.replace(target)
        return key

    def path(self, key: str) -> Path:
        """Where the bytes of ``key`` lie. Raises :class:`Refused` (404) for what cannot be a key."""
        if _KEY.fullmatch(key):
            return self.folder / key[:2] / key
        if _UPLOAD.fullmatch(key) and key.rpartition("/")[2] not in {".", ".."}:
            return self.folder / key
        raise Refused(404, "No such file")

    def new_upload(self, name: str) -> str:
        """The key under which a file called ``name`` may be uploaded."""
        last = name.replace("\\", "/").rpartition("/")[2]
        plain = re.sub(r"[^\w.\-]", "_", last).lstrip(".")[-120:]
        key = f"uploads/{secrets.token_hex(16)}/{plain or 'file'}"
        self._database.set_setting(f"upload {key}", last)
        return key

    def uploaded_name(self, key: Any) -> str:
        """The name under which a file was announced that has been uploaded since; a 422 when there is none."""
        name = self._database.setting(f"upload {key}")
        if name is None or not self.path(key).is_file():
            raise invalid("fileKey names no uploaded file")
        return name

    def link(self, base: str, key: str, *, method: str = "GET", seconds: float = LINK_SECONDS) -> str:
        """A link to ``key`` below ``base`` (``http://host:port``) that works for ``seconds`` and for ``method``
        only."""
        expires = int(self._clock.unscaled() + seconds)
        return f"{base}/files/{quote(key)}?expires={expires}&signature={self._sign(method, key, expires)}"

    def verify(self, method: str, key: str, expires: str | None, signature: str | None) -> None:
        """Raise :class:`Refused` (403) unless the link was signed here and has not expired."""
        if expires is None or signature is None or not re.fullmatch(r"[0-9]{1,12}", expires):
            raise Refused(403, "The link is not signed")
        if not hmac.compare_digest(self._sign(method, key, int(expires)).encode(), signature.encode()):
            raise Refused(403, "The signature does not match")
        if self._clock.unscaled() > int(expires):
            raise Refused(403, "The link has expired")

    def _sign(self, method: str, key: str, expires: int) -> str:
        return hmac.digest(self._secret, f"{method}\n{key}\n{expires}".encode(), "sha256").hex()


def _key(digest: str, name: str) -> str:
    extension = re.search(r"\.([a-z0-9]{1,8})$", name.lower())
    return digest[:40] + (extension.group(0) if extension else "")
