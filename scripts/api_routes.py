"""The requests of a method, found out by calling it on a session that only listens, for docs/api.md."""

from __future__ import annotations

import inspect
import json
import struct
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from fastlabel_dagster.api import FastLabelClient, RetryPolicy

FILE_OF = {"text": "a.txt", "audio": "a.wav", "pcd": "a.pcd", "video": "a.mp4", "zip": "a.zip", "image": "a.png"}


class Listening(requests.Session):
    """A session that sends nothing, notes what it would have sent, and answers what goes on best."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        parts = urlsplit(str(request.url))
        own = parts.path.startswith("/v1/")
        self.heard.append(f"{request.method} {unquote(parts.path[4:])}" if own else f"{request.method} (signed URL)")
        answer: Any = {"url": "http://storage.example/put", "name": "key", "updatedTaskCount": 0}
        if request.method == "GET" and not parts.path.endswith("/files"):
            answer = []
        response = requests.Response()
        response.status_code = 200
        response.url = str(request.url)
        response._content = json.dumps(answer).encode()
        return response


def box(name: bytes, content: bytes) -> bytes:
    """One box of an MP4 file."""
    return struct.pack(">I4s", 8 + len(content), name) + content


def a_video() -> bytes:
    """The least that says H.264."""
    description = box(b"stsd", bytes(8) + box(b"avc1", b""))
    media = box(b"hdlr", bytes(8) + b"vide") + box(b"minf", box(b"stbl", description))
    return box(b"moov", box(b"trak", box(b"mdia", media)))


def routes(name: str, folder: Path) -> list[str]:
    """The requests of one method, its arguments in the place of ids."""
    session = Listening()
    client = FastLabelClient(
        "token", "http://api.example/v1", session=session, budget=None, retry=RetryPolicy(attempts=1)
    )
    if name == "import_lerobot":
        return ["POST tasks/robotics", *routes("import_robotics_contents_file", folder)]  # for each episode
    kind = next((kind for kind in FILE_OF if f"_{kind}_" in name), "image")
    if name in ("create_dicom_task", "import_appendix_file", "import_robotics_contents_file"):
        kind = "zip"
    in_storage = "integrated" in name
    arguments: dict[str, Any] = {}
    for parameter in inspect.signature(getattr(client, name)).parameters.values():
        if parameter.default is not parameter.empty or parameter.kind is parameter.VAR_KEYWORD:
            continue
        arguments[parameter.name] = f"{{{parameter.name}}}"
    arguments |= {
        key: value
        for key, value in {
            "file_path": "a.png" if in_storage else folder / FILE_OF[kind],
            "folder_path": folder / f"folder of {kind}",
            "path": folder / "downloads",
            "modules": ["annotation"],
            "task_ids": ["a"],
            "tags": ["a"],
        }.items()
        if key in arguments
    }
    getattr(client, name)(**arguments)
    if name == "create_task_comment":
        getattr(client, name)(comment_id="{comment_id}", text="")
    if name == "create_workspace_user_module_permissions":
        return ["POST function-resource-permissions/{module}/internal-users"]
    return session.heard


def lay_out_files(folder: Path) -> None:
    """Files, and folders of them, for methods that send some."""
    for kind, file in FILE_OF.items():
        content = a_video() if kind == "video" else b"x"
        (folder / file).write_bytes(content)
        (folder / f"folder of {kind}").mkdir()
        (folder / f"folder of {kind}" / file).write_bytes(content)
