"""Writes docs/api.md: every method of the official SDK, our two spellings of it, its requests, its comparison.

    python scripts/api_page.py            write the page
    python scripts/api_page.py --check    only say whether it is up to date

Nothing on the page is written by hand twice: methods come from the SDK by introspection, requests from calling our
client, limits from the table of modalities, differences from the list beside the SDK's names, the number of compared
calls from the tests. It needs the development dependencies.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import struct
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from fastlabel_dagster.api import FastLabelClient, RetryPolicy
from fastlabel_dagster.api.groups.group import Group
from fastlabel_dagster.api.modalities import MODALITIES, Modality
from fastlabel_dagster.api.sdk_names.differences import DIFFERENCES, ON_FILES, SDK_VERSION, Difference
from fastlabel_dagster.api.wire import MEGABYTE, USER_KEYWORDS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "api.md"
ADDRESS = "http://api.example/v1"

SECTIONS: dict[str, dict[str, str]] = {
    "Tasks of every modality": {
        "get_task_id_name_map": "tasks.id_name_map",
        "count_tasks": "tasks.count",
        "update_task": "tasks.update",
        "delete_task": "tasks.delete",
        "delete_task_annotations": "tasks.delete_annotations",
        "add_task_tags": "tasks.add_tags",
        "remove_task_tags": "tasks.remove_tags",
        "get_tags": "tags.list",
        "delete_tags": "tags.delete",
        "create_integrated_image_task": "image_tasks.create_integrated",
        "create_integrated_image_classification_task": "image_classification_tasks.create_integrated",
        "find_integrated_image_task_by_prefix": "image_tasks.merged",
        "find_integrated_video_task_by_prefix": "video_tasks.merged",
        "find_integrated_audio_task_by_prefix": "audio_tasks.merged",
    },
    "Imports, storage, appendixes": {
        "find_history": "import_histories.find",
        "get_histories": "import_histories.list",
        "get_aws_s3_import_status_by_project": "aws_s3.import_status",
        "create_task_from_aws_s3": "aws_s3.import_tasks",
        "update_aws_s3_storage": "aws_s3.set_storage",
        "get_appendix_data": "appendix.list",
        "get_task_appendix_data": "appendix.of_tasks",
        "import_appendix_file": "appendix.import_file",
        "import_robotics_contents_file": "robotics_tasks.import_contents",
        "import_lerobot": "robotics_tasks.import_lerobot",
        "get_metadatas": "metadatas.list",
    },
    "Annotation classes": {
        "find_annotation": "annotation_classes.find",
        "find_annotation_by_value": "annotation_classes.by_value",
        "get_annotations": "annotation_classes.list",
        "create_annotation": "annotation_classes.create",
        "create_classification_annotation": "annotation_classes.create_classification",
        "update_annotation": "annotation_classes.update",
        "update_classification_annotation": "annotation_classes.update_classification",
        "delete_annotation": "annotation_classes.delete",
    },
    "Projects": {
        "find_project": "projects.find",
        "find_project_by_slug": "projects.by_slug",
        "get_projects": "projects.list",
        "get_project_id_slug_map": "projects.id_slug_map",
        "create_project": "projects.create",
        "update_project": "projects.update",
        "update_project_metadata": "projects.set_external_codes",
        "delete_project": "projects.delete",
        "copy_project": "projects.copy",
        "update_project_user_permission": "projects.set_user_role",
    },
    "Datasets": {
        "find_dataset": "datasets.find",
        "get_datasets": "datasets.list",
        "create_dataset": "datasets.create",
        "update_dataset": "datasets.update",
        "delete_dataset": "datasets.delete",
        "find_dataset_object": "dataset_objects.find",
        "get_dataset_objects": "dataset_objects.list",
        "create_dataset_object": "dataset_objects.create",
        "update_dataset_object": "dataset_objects.update",
        "delete_dataset_object": "dataset_objects.delete",
        "download_dataset_objects": "dataset_objects.signed_urls",
    },
    "Jobs and models": {
        "find_training_job": "training_jobs.find",
        "get_training_jobs": "training_jobs.list",
        "execute_training_job": "training_jobs.submit",
        "find_evaluation_job": "evaluation_jobs.find",
        "get_evaluation_jobs": "evaluation_jobs.list",
        "execute_evaluation_job": "evaluation_jobs.submit",
        "get_auto_annotation_jobs": "auto_annotation_jobs.list",
        "execute_auto_annotation_job": "auto_annotation_jobs.submit",
        "execute_endpoint": "model_endpoints.execute",
        "create_model_monitoring_request_results": "model_monitoring.create_results",
    },
    "Comments and people": {
        "get_project_comments": "comments.list",
        "get_task_comments": "comments.of_task",
        "create_task_comment": "comments.create",
        "update_task_comment": "comments.update",
        "delete_task_comment": "comments.delete",
        "get_workspace_users": "workspace_users.list",
        "create_workspace_user": "workspace_users.create",
        "update_workspace_user": "workspace_users.update",
        "delete_workspace_user": "workspace_users.delete",
        "create_workspace_user_module_permissions": "workspace_users.grant_modules",
        "delete_workspace_user_module_permissions": "workspace_users.revoke_modules",
    },
}
"""The methods that do not follow from the table of modalities, and how each is spelled on the groups."""

FILE_METHODS = {
    "export_coco": "`coco`",
    "export_yolo": "`yolo` (`layout=darknet`)",
    "export_pascalvoc": "`pascal_voc`",
    "export_labelme": "`labelme`",
    "export_instance_segmentation": "`instance_masks` (`pixels=sdk`)",
    "export_semantic_segmentation": "`semantic_masks` (`pixels=sdk`)",
    "export_image_with_annotations": "`overlays`",
    "convert_coco_to_fastlabel": "`coco`",
    "convert_yolo_to_fastlabel": "`yolo`",
    "convert_pascalvoc_to_fastlabel": "`pascal_voc`",
    "convert_labelme_to_fastlabel": "`labelme`",
    "mask_to_fastlabel_segmentation_points": "the tracing of masks",
}
"""The methods that write and read files, and the format that does it."""

INTRODUCTION = """\
# The API, twice

<!-- Written by scripts/api_page.py. Change that, or what it reads, and run it again. -->

`FastLabelClient` has two faces. **Groups** are for people: `client.video_tasks.create(...)`,
`client.training_jobs.submit(...)`, and `.iter()` wherever the API pages. What is None stays as it is there, and an
empty list is sent, and clears. **The names of the official SDK** are for code that exists:
`client.create_video_task(...)` takes the same arguments, has the same defaults and sends the same request. `help()` and
the editor show real signatures for both.

The measure is the official SDK {sdk}. A test finds its public methods by introspection, calls each one and ours before
one recording server, and compares method, path, query, body and upload form: with as few arguments as possible, with
all, with falsy ones, with None, with odd names, at and beyond the limits. What differs on purpose is listed at the end
of this page, and nothing else may.

## Modalities

The sizes are checked before anything is read or sent; exactly the limit passes, and 1 MB is 1024² bytes. All lists take
`status`, `external_status`, `tags`, `task_name`, `offset` and `limit`; creating and updating also takes the people:
{people} and `workflow_1_user` to `workflow_6_user`.
"""

METHODS = """\
Files travel as base64 in the JSON of the request, which is what the API asks for; zips are uploaded to a signed
address. Both are read from disk piece by piece while they are sent. On the groups, a single file can be given as bytes
(`content=`) as well.

## Methods

Where a path holds braces, that argument stands there, percent-encoded. “Compared calls” says how many calls of the
method the tests compare with the SDK's.
"""

FILES = """\
### On files

These write the files of an export, or make annotations of such files. They are the formats of this package in the
SDK's places: `docs/formats.md` says what each format carries. Exports answer a report where the SDK answers None,
`convert_*` log what could not be read. Tests write and read generated tasks with both and compare the files: numbers
and names of COCO, YOLO, VOC and labelme, pixels and palettes of masks, frames of videos. What differs on purpose is
listed below under “Intended differences on files”.
"""

ASKED_AGAIN = """\
## What is asked again

GET, PUT and DELETE are repeated after a broken connection, an answer that cannot be read, 429, 502, 503 and 504 (GET
after 500 as well), with growing pauses and as the server's `Retry-After` says (`RetryPolicy`). What makes something is
repeated only when it certainly was not processed: no connection was made, or the answer was 429. A few POSTs do no harm
when they are processed twice and are repeated like a PUT: putting tags on tasks and taking them off
(`tasks/tags/add`, `tasks/tags/remove`), deleting tags (`tags/delete/multi`), and granting a user modules
(`function-resource-permissions/{module}/internal-users`).

On the groups, a lost answer to making a task, project, dataset, dataset object, annotation class or user is settled by
looking it up under its name before sending again. What is found is taken for what was made unless it is of another
type (projects) or its `createdAt` lies before the first request, by the clock in the server's `Date` headers. Where the
server shows no such date, something that had the name before cannot be told from what the lost request made. When it
stays open, because the look-up fails too for instance, the error is that of the lost answer, says that the thing may
have been made, and has what failed afterwards as its cause.

A lost answer to starting a job is settled by comparing the jobs there are with those there were: for about a minute
after a timeout, a broken connection or a 504, for 6 seconds after another 5xx, for as long as `Retry-After` says
(`SubmissionPolicy`). A new job that fits is the one. When there are new jobs and none fits, or several do, or they
cannot be listed, `UnclearSubmission` names the candidates and nothing is sent again. A job of which the server tells
the id only, and which cannot be read yet, comes back as `{"id": …, "trainingJobId": …, "status": "unknown"}`
(`evaluationJobId`, `autoAnnotationJobId`), which `wait` takes like any other.

Imports, comments and copies of projects have no name to be found by; their lost answers are errors. The SDK's names
leave all of this to the caller.
"""

FILE_OF = {"text": "a.txt", "audio": "a.wav", "pcd": "a.pcd", "video": "a.mp4", "zip": "a.zip", "image": "a.png"}


def modality_methods(modality: Modality) -> dict[str, str]:
    """The SDK's methods of one modality, and our group's."""
    key, group = modality.key, modality.group
    methods = {
        f"find_{key}_task": f"{group}.find",
        f"find_{key}_task_by_name": f"{group}.by_name",
        f"get_{key}_tasks": f"{group}.list",
        f"create_{key}_task": f"{group}.create",
        f"update_{key}_task": f"{group}.update",
    }
    if modality.source == "not creatable":
        return {
            name: ours for name, ours in methods.items() if name.startswith(("find", "get")) and "by_name" not in name
        }
    return methods


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


def parity_cases() -> dict[str, int]:
    """How many calls of each method the tests compare with the SDK's."""
    counts: dict[str, int] = {}
    for name, table in (("test_parity", "ALL"), ("test_sdk_names", "CASES"), ("test_lerobot", "CASES")):
        for case in getattr(load(ROOT / "tests" / "api" / f"{name}.py"), table):
            counts[case[0]] = counts.get(case[0], 0) + 1
    return counts


def load(path: Path) -> ModuleType:
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location(f"api_page_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table_of_modalities() -> list[str]:
    """What is taken, and how much of it."""
    rows = [
        "| Group | Path | A new task is made from | Page (the SDK's default) | Set on create | Set on update |",
        "|---|---|---|---|---|---|",
    ]
    for one in MODALITIES:
        made = {"nothing": "nothing; its content is imported", "not creatable": "cannot be made by the API"}.get(
            one.source
        )
        if one.file is not None:
            endings = ", ".join(one.file.extensions or ())
            assert one.file.max_bytes is not None
            size = f"{one.file.max_bytes // MEGABYTE:,} MB"
            where = f"a folder of at most {one.most_files} files: " if one.source == "folder" else ""
            made = f"{where}{endings}, at most {size}{', H.264' if one.file.h264 else ''}"
        beyond = "" if one.checked_by_sdk else ", not checked by the SDK"
        page = f"{one.page_maximum:,} ({one.page_default}{beyond})"
        create, update = (", ".join(f"`{field}`" for field in fields) or "–" for fields in (one.create, one.update))
        rows.append(f"| `client.{one.group}` | `{one.path}` | {made} | {page} | {create} | {update} |")
    return rows


def table_of_methods(methods: dict[str, str], cases: dict[str, int], folder: Path) -> list[str]:
    """One row per method of the SDK."""
    rows = ["| SDK, and ours | Ours on a group | Requests | Compared calls |", "|---|---|---|---|"]
    for name, ours in methods.items():
        requests_made = " → ".join(f"`{route}`" for route in routes(name, folder))
        rows.append(f"| `{name}` | `{ours}` | {requests_made} | {cases[name]} |")
    return rows


def table_of_file_methods() -> list[str]:
    """One row per method that works on files."""
    rows = ["| SDK, and ours | Format | Requests |", "|---|---|---|"]
    for name, format in FILE_METHODS.items():
        asks_for_project = "project" in inspect.signature(getattr(FastLabelClient, name)).parameters
        asked = "`GET projects`; `GET` of each video, without the token" if asks_for_project else "–"
        rows.append(f"| `{name}` | {format} | {asked} |")
    return rows


def table_of(differences: Sequence[Difference]) -> list[str]:
    """One row per difference."""
    return [
        "| | The SDK | This client | Why |",
        "|---|---|---|---|",
        *(f"| {one.key} | {one.sdk} | {one.ours} | {one.reason} |" for one in differences),
        "",
    ]


def only_on_groups(spelled: set[str]) -> list[str]:
    """Methods of the groups that the SDK has no name for."""
    rows = []
    with FastLabelClient("token", ADDRESS, budget=None) as client:
        for group_name, group in vars(client).items():
            if not isinstance(group, Group):
                continue
            extra = [
                f"`{name}`"
                for name, _ in inspect.getmembers(group, inspect.ismethod)
                if not name.startswith("_") and f"{group_name}.{name}" not in spelled
            ]
            if extra:
                rows.append(f"- `client.{group_name}`: {', '.join(extra)}")
    return rows


def page() -> str:
    """The text of docs/api.md."""
    cases = parity_cases()
    people = ", ".join(f"`{keyword}`" for keyword in USER_KEYWORDS[:6])
    lines = [INTRODUCTION.format(sdk=SDK_VERSION, people=people), *table_of_modalities(), "", METHODS]
    spelled: set[str] = set()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for kind, file in FILE_OF.items():
            content = a_video() if kind == "video" else b"x"
            (folder / file).write_bytes(content)
            (folder / f"folder of {kind}").mkdir()
            (folder / f"folder of {kind}" / file).write_bytes(content)
        sections = {"Tasks by modality": {k: v for one in MODALITIES for k, v in modality_methods(one).items()}}
        for title, methods in (sections | SECTIONS).items():
            spelled |= set(methods.values())
            lines += [f"### {title}", "", *table_of_methods(methods, cases, folder), ""]
    lines += [
        FILES,
        *table_of_file_methods(),
        "",
        "### Only on the groups",
        "",
        *only_on_groups(spelled),
        "",
        "## Intended differences",
        "",
        *table_of(DIFFERENCES),
        "## Intended differences on files",
        "",
        *table_of(ON_FILES),
        ASKED_AGAIN.rstrip("\n"),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        if current != text:
            print("docs/api.md is out of date; run python scripts/api_page.py")
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
