"""A sandbox with something of everything in it, and one call of the client for every route of the sandbox."""

from __future__ import annotations

import threading
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.api.submission import SubmissionPolicy
from fastlabel_dagster.api.transport import new_session
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.endpoints import ENDPOINTS
from fastlabel_dagster.sandbox.faults import _pattern
from fastlabel_dagster.sandbox.modalities import MODALITIES

SCENES = "street-scenes"
ROUTES = [*((row.method, row.path) for row in ENDPOINTS), ("GET", "/files/{key:path}"), ("PUT", "/files/{key:path}")]
TYPES = {"pcd": "pcd_cuboid", "sequential_pcd": "sequential_pcd_cuboid", "robotics": "robotics_task_classification"}
TYPES |= {"audio": "audio_segmentation", "text": "text_ner"}
ENDINGS = {"video": "mp4", "text": "txt", "audio": "wav", "pcd": "pcd"}
SUBMIT = SubmissionPolicy(sleep=lambda seconds: time.sleep(seconds / 200))


class Recorder(requests.Session):
    """The client's own session, and which routes of the sandbox it has sent requests to."""

    _known: ClassVar = [(f"{m} {p}", m, _pattern(p if p.startswith("/") else f"/v1/{p}")) for m, p in ROUTES]

    def __init__(self) -> None:
        super().__init__()
        vars(self).update(vars(new_session()))
        self.met: Counter[str] = Counter()
        self._lock = threading.Lock()

    def send(self, request: requests.PreparedRequest, **more: Any) -> requests.Response:
        path = requests.utils.unquote(request.path_url.partition("?")[0])
        route = next(name for name, method, shape in self._known if method == request.method and shape.fullmatch(path))
        with self._lock:
            self.met[route] += 1
        return super().send(request, **more)


class Everything:
    """What the calls need: a project for every kind of tasks (of the kind's name) with a task in it, files of every
    kind, a dataset, a job of every kind, a comment."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.state = state = sandbox.state
        sandbox.seed(tasks=30)
        self.scenes = state.task_ids(SCENES)
        self.picture = state.files.path(str(state.tasks.file_of(self.scenes[0]))).read_bytes()
        self.content = {"video": _video(folder), "text": b"words", "audio": b"RIFF", "pcd": b"# .PCD"}
        self.folders = {}
        for kind, ending, content in (("image", "jpg", self.picture), ("pcd", "pcd", b"# .PCD")):
            self.folders[kind] = folder / f"sequence of {kind}"
            self.folders[kind].mkdir()
            for number in (1, 2):
                (self.folders[kind] / f"{number}.{ending}").write_bytes(content)
        self.zip = folder / "series.zip"
        with zipfile.ZipFile(self.zip, "w") as zipped:
            zipped.writestr("series/1.dcm", bytes(128) + b"DICM" + b"\x28\x00\x10\x00US\x02\x00\x00\x02")
        self.tasks: dict[str, str] = {}
        for one in MODALITIES:
            kind = TYPES.get(one.name, one.name if "classification" in one.name or "modal" in one.name else "")
            state.create_project(slug(one.name), type=kind or f"{one.name}_bbox")
            (self.tasks[one.name],) = state.add_tasks(slug(one.name), [{"name": "first"}])
        for kind, name in (("image", "whole/cat/1.jpg"), ("video", "whole/cat/1.mp4"), ("audio", "whole/cat/1.wav")):
            content = self.content.get(kind, self.picture)
            state.add_tasks(slug(kind), [{"name": name}], {name: content})
        self.project = state.create_project("settings")
        self.label = state.create_class("settings", "bbox", "cat")
        bucket = state.data / "buckets" / "bucket"
        bucket.mkdir(parents=True)
        for name in ("image", "image_classification"):
            state.jobs.set_storage(slug(name), {"bucketName": "bucket", "bucketRegion": "r"})
        self.bucket = bucket
        self.dataset = state.datasets.create("trained")["id"]
        state.datasets.add_object("trained", "a.txt", b"x", {})
        state.people.create("Mori", "mori@example.com", "ja", "member")


def slug(modality: str) -> str:
    return f"of-{modality.replace('_', '-')}"


def _video(folder: Path) -> bytes:
    """A short video whose container says H.264."""
    import cv2
    import numpy as np

    path = folder / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 10, (64, 48))
    for number in range(4):
        writer.write(np.full((48, 64, 3), number * 10, np.uint8))
    writer.release()
    return path.read_bytes().replace(b"mp4v", b"avc1").replace(b"esds", b"free")


Call = Callable[[int], Any]


def calls(client: FastLabelClient, here: Everything) -> dict[str, Call]:
    """A call that sends a request to every route, by route; what it makes has the number in its name."""
    state, one_at_a_time = here.state, threading.Lock()
    links = [task["url"] for task in client.image_tasks.list(SCENES)]
    first = client.comments.create(here.scenes[0], [1, 2], "first")
    history = state.start_import(SCENES)
    state.jobs.start_s3_import({"project": slug("image")})
    training = client.training_jobs.submit("trained", "fastlabel_light", 5000, policy=SUBMIT)["trainingJobId"]
    evaluation = client.evaluation_jobs.submit("trained", "fastlabel_light", 1.0, policy=SUBMIT)["id"]
    table: dict[str, Call] = {}

    def thread(text: str) -> str:
        return str(client.comments.create(here.scenes[1], [1, 2], text)["threads"][0]["id"])

    def gone_project(n: int) -> None:
        client.projects.delete(state.create_project(f"gone-{n}-{threading.get_ident()}"))

    def bucket_file(n: int) -> str:
        (here.bucket / f"{n}.jpg").write_bytes(here.picture)
        return f"{n}.jpg"

    def annotate(n: int) -> Any:
        with one_at_a_time:  # two jobs that ask for the same cannot be told apart
            return client.auto_annotation_jobs.submit(slug("text"), "fastlabel_light", policy=SUBMIT)

    def download(n: int) -> int:
        received: list[bytes] = []
        client.download(links[n % 30], received.append)
        content = b"".join(received)
        assert content.startswith(b"\xff\xd8") and content.endswith(b"\xff\xd9"), "a picture arrives whole"
        return len(content)

    for one in MODALITIES:
        group = getattr(client, f"{one.name}_tasks")
        path, where, task_id = f"tasks/{one.path}", slug(one.name), here.tasks[one.name]
        table[f"GET {path}"] = lambda n, group=group, where=where: group.list(where)
        table[f"GET {path}/{{task_id}}"] = lambda n, group=group, task_id=task_id: group.find(task_id)
        if one.source == "nowhere":
            continue
        table[f"PUT {path}/{{task_id}}"] = lambda n, group=group, task_id=task_id: group.update(task_id, tags=["a"])
        kind = one.name.replace("_classification", "")
        more: dict[str, Any] = {"content": here.content.get(kind, here.picture)}
        if one.source == "contents":
            more = {"folder_path": here.folders["pcd" if "pcd" in kind else "image"]}
        if one.source == "nothing":
            more = {}
        ending = ENDINGS.get(kind, "jpg")
        table[f"POST {path}"] = lambda n, group=group, where=where, more=more, ending=ending: group.create(
            where, f"{n}.{ending}", **more
        )
        if one.source == "archive":
            table[f"POST {path}"] = lambda n, group=group, where=where: group.create(where, here.zip)

    reads: dict[str, Call] = {
        "GET annotations": lambda n: client.annotation_classes.list("settings"),
        "GET annotations/{class_id}": lambda n: client.annotation_classes.find(here.label),
        "GET comments": lambda n: client.comments.of_task(SCENES, here.scenes[0]),
        "GET comments/threads": lambda n: client.comments.list(SCENES),
        "GET contents/export/appendix": lambda n: client.appendix.list(slug("pcd")),
        "GET tasks/appendix": lambda n: client.appendix.of_tasks(slug("pcd")),
        "GET tasks/integrate/images": lambda n: client.image_tasks.merged(slug("image"), "whole/cat"),
        "GET tasks/integrate/videos": lambda n: client.video_tasks.merged(slug("video"), "whole/cat"),
        "GET tasks/integrate/audios": lambda n: client.audio_tasks.merged(slug("audio"), "whole/cat"),
        "GET datasets-v2": lambda n: client.datasets.list(),
        "GET datasets-v2/{dataset_id}": lambda n: client.datasets.find(here.dataset),
        "GET dataset-revision-objects": lambda n: client.dataset_objects.list("trained"),
        "GET dataset-revision-objects/signed-urls": lambda n: client.dataset_objects.signed_urls("trained"),
        "GET dataset-revision-objects/datasets/{dataset_id}/objects/{object_name:path}": lambda n: (
            client.dataset_objects.find(here.dataset, "a.txt")
        ),
        "GET tasks/import/histories": lambda n: client.import_histories.list(SCENES),
        "GET tasks/import/histories/{history_id}": lambda n: client.import_histories.find(history),
        "GET tasks/import/status/aws-s3/{project}": lambda n: client.aws_s3.import_status(slug("image")),
        "GET trainings": lambda n: client.training_jobs.list(),
        "GET trainings/{job_id}": lambda n: client.training_jobs.find(training),
        "GET evaluations": lambda n: client.evaluation_jobs.list(),
        "GET evaluations/{job_id}": lambda n: client.evaluation_jobs.find(evaluation),
        "GET auto-annotations": lambda n: client.auto_annotation_jobs.list(slug("text")),
        "GET projects": lambda n: client.projects.by_slug("settings"),
        "GET projects/map/id-slug": lambda n: client.projects.id_slug_map(),
        "GET projects/{project_id}": lambda n: client.projects.find(here.project),
        "GET tags": lambda n: client.tags.list(SCENES),
        "GET tasks/count": lambda n: client.tasks.count(SCENES),
        "GET tasks/map/id-name": lambda n: client.tasks.id_name_map(SCENES),
        "GET workspaces-users": lambda n: client.workspace_users.list(),
        "GET metadatas": lambda n: client.metadatas.list(SCENES),
        "GET /files/{key:path}": download,
    }
    changes: dict[str, Call] = {
        "PUT annotations/classification/{class_id}": lambda n: client.annotation_classes.update_classification(
            state.create_class(slug("image_classification"), "classification", f"c-{n}-{threading.get_ident()}"),
            [{"key": "kind", "name": "Kind", "type": "text"}],
        ),
        "PUT annotations/{class_id}": lambda n: client.annotation_classes.update(here.label, title=f"Cat {n}"),
        "DELETE annotations/{class_id}": lambda n: client.annotation_classes.delete(
            state.create_class("settings", "bbox", f"gone-{n}")
        ),
        "PUT comments/threads/{thread_id}": lambda n: client.comments.update(first["threads"][0]["id"], f"text {n}"),
        "DELETE comments/threads/{thread_id}": lambda n: client.comments.delete(thread(f"gone {n}")),
        "PUT datasets-v2/{dataset_id}": lambda n: client.datasets.update(here.dataset, tags=["a"]),
        "DELETE datasets-v2/{dataset_id}": lambda n: client.datasets.delete(state.datasets.create(f"gone-{n}")["id"]),
        "PUT dataset-revision-objects": lambda n: client.dataset_objects.update(here.dataset, "a.txt", tags=["a"]),
        "DELETE dataset-revision-objects/datasets/{dataset_id}/objects/{object_name:path}": lambda n: (
            state.datasets.add_object("trained", f"gone {n}", b"x", {}),
            client.dataset_objects.delete(here.dataset, f"gone {n}"),
        ),
        "PUT storages/aws-s3/{project}": lambda n: client.aws_s3.set_storage(slug("image"), "bucket", "r"),
        "PUT projects/{project_id}": lambda n: client.projects.update(here.project, name=f"Settings {n}"),
        "PUT projects/{project_id}/metadata": lambda n: client.projects.set_external_codes(here.project, "a", "b", "c"),
        "DELETE projects/{project_id}": gone_project,
        "POST tags/delete/multi": lambda n: client.tags.delete(["none"]),
        "POST tasks/tags/add": lambda n: client.tasks.add_tags(SCENES, [here.scenes[n % 30]], [f"tag-{n}"]),
        "POST tasks/tags/remove": lambda n: client.tasks.remove_tags(SCENES, [here.scenes[n % 30]], ["none"]),
        "PUT tasks/{task_id}": lambda n: client.tasks.update(here.scenes[n % 30], priority=20),
        "DELETE tasks/{task_id}": lambda n: client.tasks.delete(
            state.add_tasks(slug("text"), [{"name": f"gone {n}"}])[0]
        ),
        "DELETE tasks/{task_id}/task-annotations": lambda n: client.tasks.delete_annotations(here.tasks["image"]),
        "PUT workspaces-users/internal-users": lambda n: client.workspace_users.update("mori@example.com", "owner"),
        "DELETE function-resource-permissions": lambda n: client.workspace_users.revoke_modules(
            "mori@example.com", "dataset"
        ),
        "PUT projects-users": lambda n: client.projects.set_user_role("settings", "sato@example.com", "reviewer"),
        "POST model-endpoints/execute": lambda n: client.model_endpoints.execute("any", content=here.picture),
        "POST model-monitorings/create": lambda n: client.model_monitoring.create_results(
            "m", [{"status": "success", "result": [], "requestAt": "2023-05-08T12:10:53+09:00"}]
        ),
    }
    for module, path in (("annotation", "annotation"), ("dataset", "dataset"), ("modelDev", "model-dev")):
        changes[f"POST function-resource-permissions/{path}/internal-users"] = lambda n, module=module: (
            client.workspace_users.grant_modules("mori@example.com", module)
        )
    makes: dict[str, Call] = {
        "POST annotations": lambda n: client.annotation_classes.create("settings", "bbox", f"class-{n}", f"分類 {n}"),
        "POST annotations/classification": lambda n: (
            state.create_project(f"kinds-{n}", type="image_classification"),
            client.annotation_classes.create_classification(
                f"kinds-{n}", [{"key": "kind", "name": "Kind", "type": "text"}]
            ),
        )[1],
        "POST comments": lambda n: client.comments.create(here.scenes[n % 30], [1, 2], f"comment {n}"),
        "POST comments/{comment_id}/threads": lambda n: client.comments.reply(first["id"], f"reply {n}"),
        "POST contents/imports/appendix/batch": lambda n: client.appendix.import_file(slug("pcd"), here.zip),
        "POST contents/imports/robotics-contents/batch": lambda n: client.robotics_tasks.import_contents(
            slug("robotics"), here.zip
        ),
        "POST tasks/integrated-image": lambda n: client.image_tasks.create_integrated(
            slug("image"), "aws-s3", bucket_file(n)
        ),
        "POST tasks/integrated-image/classification": lambda n: client.image_classification_tasks.create_integrated(
            slug("image_classification"), "aws-s3", bucket_file(n)
        ),
        "POST datasets-v2": lambda n: client.datasets.create(f"dataset-{n}"),
        "POST dataset-revision-objects": lambda n: client.dataset_objects.create(
            "trained", f"{n}.jpg", content=here.picture
        ),
        "POST tasks/aws-s3": lambda n: client.aws_s3.import_tasks(slug("image_classification")),
        "POST trainings": lambda n: client.training_jobs.submit("trained", "fastlabel_light", n + 1, policy=SUBMIT),
        "POST evaluations": lambda n: client.evaluation_jobs.submit(
            "trained", "fastlabel_light", n / 5000, policy=SUBMIT
        ),
        "POST auto-annotations": annotate,
        "GET files": lambda n: client.appendix.import_file(slug("pcd"), here.zip),
        "PUT /files/{key:path}": lambda n: client.appendix.import_file(slug("sequential_pcd"), here.zip),
        "POST projects": lambda n: client.projects.create("image_bbox", f"Project {n}", f"project-{n}"),
        "POST projects/copy": lambda n: client.projects.copy(here.project, slug=f"copy-{n}"),
        "POST workspaces-users/internal-users": lambda n: client.workspace_users.create(
            f"User {n}", f"user{n}@example.com", "ja", "member"
        ),
    }
    return table | reads | changes | makes


@pytest.fixture
def everything(fastlabel_sandbox: Sandbox, tmp_path: Path) -> Everything:
    return Everything(fastlabel_sandbox, tmp_path)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def every_call(everything: Everything) -> Callable[[FastLabelClient], dict[str, Call]]:
    return lambda client: calls(client, everything)
