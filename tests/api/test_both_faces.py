"""The two faces send the same request for the same wish; where they differ, it is in what an empty value means."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, Invalid
from fastlabel_dagster.api.modalities import MODALITIES

VALUES: dict[str, Any] = {
    "status": "approved",
    "external_status": "registered",
    "custom_task_status": "pending",
    "priority": 10,
    "annotations": [{"id": "a", "type": "bbox", "value": "猫", "content": "own", "attributes": []}],
    "attributes": [{"key": "k", "name": "n", "value": ["v"]}],
    "tags": ["t"],
    "metadatas": [{"key": "k", "value": "v"}],
    "relations": [{"a": 1}],
    "is_delete_exif": True,
    "operator": "op",
}
LISTS = ("annotations", "attributes", "tags", "metadatas", "relations")
MADE = [modality for modality in MODALITIES if modality.source != "not creatable"]


def key(modality: Any) -> str:
    return str(modality.key)


@pytest.fixture
def place(tmp_path: Path, h264_mp4: bytes) -> Callable[[Any], list[str]]:
    """The file or folder that a modality's task is made of."""

    def make(modality: Any) -> list[str]:
        if modality.file is None:
            return []
        path = tmp_path / "in" / f"猫.{modality.file.extensions[0]}"
        path.parent.mkdir()
        path.write_bytes(h264_mp4)
        return [str(path.parent if modality.source == "folder" else path)]

    return make


@pytest.mark.parametrize("modality", MADE, ids=key)
def test_tasks(modality: Any, client: FastLabelClient, server: Any, reply: Any, place: Any) -> None:
    server.answer = lambda seen: reply({"url": server.base + "/put", "name": "k"} if "files" in seen.path else "id")
    group = getattr(client, modality.group)
    names = [] if modality.key == "dicom" else ["猫 1"]
    where = place(modality)
    fields = {field: VALUES[field] for field in modality.create}
    getattr(client, f"create_{modality.key}_task")("p", *names, *where, **fields, assignee=None, reviewer="r")
    group.create("p", *names, *where, **fields, assignee=None, reviewer="r")
    fields = {field: VALUES[field] for field in modality.update}
    getattr(client, f"update_{modality.key}_task")("t", **fields, assignee=None, reviewer="r")
    group.update("t", **fields, assignee=None, reviewer="r")
    posts = [seen for seen in server.seen if seen.path.startswith("/v1/tasks")]
    assert len(posts) == 4
    for theirs, ours in (posts[:2], posts[2:]):
        assert (ours.method, ours.path, ours.json) == (theirs.method, theirs.path, theirs.json)


@pytest.mark.parametrize("modality", MODALITIES, ids=key)
def test_lists(modality: Any, client: FastLabelClient, server: Any, reply: Any) -> None:
    group = getattr(client, modality.group)
    filters = {"status": "a", "external_status": "b", "tags": ["c", "d"], "task_name": "e", "offset": 3, "limit": 4}
    getattr(client, f"get_{modality.key}_tasks")("p", **filters)
    group.list("p", **filters)
    group.list("p")
    getattr(client, f"find_{modality.key}_task")("t")
    server.answer = lambda seen: reply({})
    group.find("t")
    one, other, longest, found, ours = server.seen
    assert (one.path, sorted(one.params)) == (other.path, sorted(other.params))
    assert longest["limit"] == str(modality.page_maximum)
    assert found.path == ours.path
    for too_many in (
        lambda: group.list("p", limit=modality.page_maximum + 1),
        lambda: group.pages("p", page_size=modality.page_maximum + 1),
    ):
        with pytest.raises(Invalid, match="Limit must be"):
            too_many()


@pytest.mark.parametrize("modality", MODALITIES, ids=key)
def test_all_pages_at_the_longest_page_there_is(modality: Any, client: Any, server: Any, reply: Any) -> None:
    size = modality.page_maximum
    tasks = [{"id": str(number)} for number in range(2 * size + 3)]

    def answer(seen: Any) -> Any:
        offset = int(dict(seen.params).get("offset", 0))
        return reply(tasks[offset : offset + int(seen["limit"])])

    server.answer = answer
    assert list(getattr(client, modality.group).iter("p")) == tasks
    assert {seen["limit"] for seen in server.seen} == {str(size)}


@pytest.mark.parametrize("modality", MADE, ids=key)
def test_an_empty_list_clears_on_the_group_only(modality: Any, client: Any, server: Any, reply: Any) -> None:
    server.answer = lambda seen: reply("id")
    empty = {field: [] for field in modality.update if field in LISTS}
    getattr(client, modality.group).update("t", **empty)
    getattr(client, f"update_{modality.key}_task")("t", **empty)
    assert server.seen[0].json == empty
    assert server.seen[1].json == ({"annotations": []} if modality.key == "robotics" else {})


def test_beside_tasks(client: FastLabelClient, server: Any, reply: Any, tmp_path: Path) -> None:
    """Every other group method that has a twin among the SDK's names, with all that both take."""
    picture, zipped = tmp_path / "a.png", tmp_path / "a.zip"
    picture.write_bytes(b"x")
    zipped.write_bytes(b"PK")
    comment = {"status": "todo", "priority": 1, "is_resolved": True, "frame": 2, "color": "#f", "content_name": "a"}
    filters = {"status": "a", "external_status": "b", "tags": ["c"], "task_name": "e", "offset": 3, "limit": 4}
    threads = {"status": "a", "external_status": "b", "tags": ["c"], "issue_category_id": "i", "offset": 0, "limit": 4}
    stored = {"status": "a", "tags": ["t"], "assignee": None}
    twins: list[tuple[Any, Callable[[], Any], Callable[[], Any]]] = [
        ([], lambda: client.get_appendix_data("p", **filters), lambda: client.appendix.list("p", **filters)),
        ([], lambda: client.get_task_appendix_data("p", "n", 1, 2), lambda: client.appendix.of_tasks("p", "n", 1, 2)),
        ({}, lambda: client.import_appendix_file("p", zipped), lambda: client.appendix.import_file("p", zipped)),
        (
            {},
            lambda: client.import_robotics_contents_file("p", zipped),
            lambda: client.robotics_tasks.import_contents("p", zipped),
        ),
        ([], lambda: client.get_metadatas("p", 1, 2), lambda: client.metadatas.list("p", 1, 2)),
        ({}, lambda: client.execute_endpoint("e", picture), lambda: client.model_endpoints.execute("e", picture)),
        (
            "ok",
            lambda: client.create_model_monitoring_request_results("m", [{"status": "failed"}]),
            lambda: client.model_monitoring.create_results("m", [{"status": "failed"}]),
        ),
        ([], lambda: client.get_project_comments("p", **threads), lambda: client.comments.list("p", **threads)),
        ([], lambda: client.get_task_comments("p", "t", 0, 5), lambda: client.comments.of_task("p", "t", 0, 5)),
        (
            {},
            lambda: client.create_task_comment("t", [1, 2], "x", **comment),
            lambda: client.comments.create("t", [1, 2], "x", **comment),
        ),
        ({}, lambda: client.create_task_comment(comment_id="c", text="x"), lambda: client.comments.reply("c", "x")),
        ({}, lambda: client.update_task_comment("th", "x"), lambda: client.comments.update("th", "x")),
        (None, lambda: client.delete_task_comment("th"), lambda: client.comments.delete("th")),
        ([], lambda: client.get_workspace_users("k", 1, 2), lambda: client.workspace_users.list("k", 1, 2)),
        (
            {},
            lambda: client.create_workspace_user("n", "e", "ja", "owner"),
            lambda: client.workspace_users.create("n", "e", "ja", "owner"),
        ),
        ({}, lambda: client.update_workspace_user("e", "r"), lambda: client.workspace_users.update("e", "r")),
        ({}, lambda: client.delete_workspace_user("e"), lambda: client.workspace_users.delete("e")),
        (
            "ok",
            lambda: client.create_workspace_user_module_permissions("e", ["modelDev", "dataset"]),
            lambda: client.workspace_users.grant_modules("e", ["modelDev", "dataset"]),
        ),
        (
            None,
            lambda: client.delete_workspace_user_module_permissions("e", "modelDev"),
            lambda: client.workspace_users.revoke_modules("e", "modelDev"),
        ),
        (
            True,
            lambda: client.update_project_user_permission("p", "e", "owner"),
            lambda: client.projects.set_user_role("p", "e", "owner"),
        ),
        (
            "id",
            lambda: client.create_integrated_image_task("p", "gcp", "a/b.png", **stored),
            lambda: client.image_tasks.create_integrated("p", "gcp", "a/b.png", **stored),
        ),
        (
            "id",
            lambda: client.create_integrated_image_classification_task("p", "a/b", "gcp", **stored),
            lambda: client.image_classification_tasks.create_integrated("p", "gcp", "a/b", **stored),
        ),
        (
            {},
            lambda: client.find_integrated_image_task_by_prefix("p", "a/"),
            lambda: client.image_tasks.merged("p", "a/"),
        ),
        (
            {},
            lambda: client.find_integrated_video_task_by_prefix("p", "a/"),
            lambda: client.video_tasks.merged("p", "a/"),
        ),
        (
            {},
            lambda: client.find_integrated_audio_task_by_prefix("p", "a/"),
            lambda: client.audio_tasks.merged("p", "a/"),
        ),
    ]
    signed = {"url": server.base + "/put", "name": "k"}
    for answer, theirs, ours in twins:
        server.answer = lambda seen, answer=answer: reply(signed if seen.path == "/v1/files" else answer)
        requests = []
        for call in (theirs, ours):
            server.seen.clear()
            assert call() in (answer, [answer, answer], None)  # one per module; deletions say nothing
            requests.append([(s.method, s.path, sorted(s.params), len(s.body)) for s in server.seen])
            bodies = [s.json for s in server.seen if s.headers["Content-Type"] == "application/json"]
            requests[-1].append(bodies)
        assert requests[0] == requests[1]


def test_iterating_beside_tasks(client: FastLabelClient, server: Any, reply: Any) -> None:
    entries = [{"id": str(number)} for number in range(1234)]

    def answer(seen: Any) -> Any:
        offset = int(dict(seen.params).get("offset", 0))
        return reply(entries[offset : offset + int(seen["limit"])])

    server.answer = answer
    for all_of_them in (
        client.appendix.iter("p"),
        client.appendix.iter_of_tasks("p"),
        client.metadatas.iter(),
        client.comments.iter("p"),
        client.comments.iter_of_task("p", "t"),
        client.workspace_users.iter("k"),
    ):
        assert list(all_of_them) == entries


@pytest.mark.parametrize(
    ("make", "found", "made"),
    [
        (lambda c: c.projects.create("image_bbox", "n", "s"), [{"slug": "s2", "id": 1}, {"slug": "s", "id": "x"}], "x"),
        (lambda c: c.datasets.create("d"), [{"name": "d2"}, {"name": "d", "id": "x"}], {"name": "d", "id": "x"}),
        (
            lambda c: c.annotation_classes.create("p", "bbox", "cat", "Cat"),
            [{"type": "polygon", "value": "cat", "id": 1}, {"type": "bbox", "value": "cat", "id": "x"}],
            "x",
        ),
        (lambda c: c.workspace_users.create("n", "e@x", "ja", "member"), [{"userEmail": "e@x"}], {"userEmail": "e@x"}),
        (lambda c: c.robotics_tasks.create("p", "episode"), [{"name": "episode", "id": "x"}], "x"),
    ],
)
def test_a_lost_answer_makes_nothing_twice(
    make: Any, found: Any, made: Any, client: Any, server: Any, reply: Any
) -> None:
    server.replies(reply(drop=True), reply(found))
    assert make(client) == made
    assert [seen.method for seen in server.seen] == ["POST", "GET"]
    server.replies(reply(None, 504), reply([]), reply(made))
    assert make(client) == made
    assert [seen.method for seen in server.seen[2:]] == ["POST", "GET", "POST"]


def test_a_dataset_object_whose_answer_is_lost(client: Any, server: Any, reply: Any) -> None:
    server.replies(reply(drop=True), reply([{"name": "d", "id": "x"}]), reply({"name": "a/b.jpg", "size": 1}))
    assert client.dataset_objects.create("d", "a/b.jpg", content=b"x") == {"name": "a/b.jpg", "size": 1}
    assert server.lines()[1:] == [
        "GET /v1/datasets-v2",
        "GET /v1/dataset-revision-objects/datasets/x/objects/a%2Fb.jpg",
    ]
    server.seen.clear()
    server.replies(reply(None, 502), reply([{"name": "d", "id": "x"}]), reply({}, 404), reply({"size": 2}))
    assert client.dataset_objects.create("d", "a/b.jpg", content=b"x") == {"size": 2}
    assert [seen.method for seen in server.seen] == ["POST", "GET", "GET", "POST"]


def test_what_has_no_name_is_not_made_twice(client: Any, server: Any, reply: Any, tmp_path: Path) -> None:
    from fastlabel_dagster.api import TransportError

    for make in (
        lambda: client.comments.create("t", [1, 2], "x"),
        lambda: client.image_tasks.create_integrated("p", "gcp", "a.png"),
        lambda: client.model_monitoring.create_results("m", []),
    ):
        server.seen.clear()
        server.replies(reply(drop=True))
        with pytest.raises(TransportError):
            make()
        assert len(server.seen) == 1
