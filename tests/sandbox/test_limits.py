"""What the sandbox turns down, and with which answer."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from fastlabel_dagster.sandbox import Sandbox

Http = Callable[..., requests.Response]


def refused(answer: requests.Response, status: int) -> str:
    """The message of a refusal, whose whole shape is checked."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body) == {"statusCode", "message", "error"}
    assert body["statusCode"] == status
    return str(body["message"])


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One server for all refusals; what a test does make, it makes under a name of its own."""
    with Sandbox(tmp_path_factory.mktemp("limits") / "data") as running:
        running.state.create_project("street")
        yield running


_numbers = count()


@pytest.fixture
def project(sandbox: Sandbox) -> str:
    slug = f"street-{next(_numbers)}"
    sandbox.state.create_project(slug, type="image_all")
    sandbox.state.create_class(slug, "bbox", "car", attributes=[{"key": "make", "type": "text"}])
    return slug


def image(picture: Callable[..., str]) -> str:
    return base64.b64encode(Path(picture()).read_bytes()).decode()


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong", "Basic sandbox-token", "sandbox-token"])
@pytest.mark.parametrize("path", ["/v1/projects", "/v1/nothing", "/_sandbox/health"])
def test_a_request_without_the_token_is_a_401(sandbox: Sandbox, header: str | None, path: str) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = requests.get(sandbox.base + path, headers=headers, timeout=10)
    assert refused(answer, 401) == "Unauthorized"
    assert answer.json()["error"] == "Unauthorized"
    assert sandbox.token not in repr(sandbox)


def test_an_sdk_with_a_wrong_token_gets_its_own_exception(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    import fastlabel
    from fastlabel.exceptions import FastLabelInvalidException

    monkeypatch.setenv("FASTLABEL_API_URL", sandbox.url)
    with pytest.raises(FastLabelInvalidException) as caught:
        fastlabel.Client("another-token").get_projects()
    assert caught.value.code == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "nothing"),
        ("POST", "tasks/hologram"),
        ("PATCH", "projects"),
        ("DELETE", "tasks/"),
        ("GET", "tasks/hologram"),
        ("GET", "/"),
        ("GET", "/_sandbox/nothing"),
    ],
)
def test_an_unknown_path_is_a_404_in_json(http: Http, method: str, path: str) -> None:
    refused(http(method, path), 404)


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("tasks/image", 1000),
        ("tasks/map/id-name", 1000),
        ("projects", 1000),
        ("projects/map/id-slug", 1000),
        ("annotations", 1000),
        ("tags", 1000),
        ("tasks/import/histories", 1000),
        ("trainings", 1000),
        ("evaluations", 1000),
        ("auto-annotations", 1000),
        ("metadatas", 1000),
    ],
)
def test_a_page_over_the_maximum_is_a_422(http: Http, project: str, path: str, most: int) -> None:
    assert http("GET", path, params={"project": project, "limit": most}).status_code == 200
    answer = http("GET", path, params={"project": project, "limit": most + 1})
    assert refused(answer, 422) == f"Limit must be less than or equal to {most}."
    for wrong in ("-1", "ten", "1.5", "９"):
        refused(http("GET", path, params={"project": project, "limit": wrong}), 422)
        refused(http("GET", path, params={"project": project, "offset": wrong}), 422)


def test_the_largest_page_can_be_lowered(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "data", page_limit=3) as sandbox:
        sandbox.state.create_project("p")
        sandbox.state.add_tasks("p", [{"name": f"{number}.jpg"} for number in range(5)])
        headers = {"Authorization": f"Bearer {sandbox.token}"}

        def get(**params: Any) -> requests.Response:
            return requests.get(
                sandbox.url + "tasks/image", params={"project": "p", **params}, headers=headers, timeout=10
            )

        assert len(get().json()) == len(get(limit=3).json()) == 3
        refused(get(limit=4), 422)


def test_past_the_budget_comes_a_429_that_says_how_long_to_wait(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "data", requests_per_10_minutes=5) as sandbox:
        headers = {"Authorization": f"Bearer {sandbox.token}"}

        def get(path: str = "/v1/projects") -> requests.Response:
            return requests.get(sandbox.base + path, headers=headers, timeout=10)

        assert [get().status_code for _ in range(5)] == [200] * 5
        late = get()
        refused(late, 429)
        assert 590 <= int(late.headers["Retry-After"]) <= 600
        assert get("/_sandbox/health").status_code == 200, "the control surface is not the service"
        sandbox.state.clock.advance(300)
        assert 290 <= int(get().headers["Retry-After"]) <= 300
        sandbox.state.clock.advance(300)
        assert get().status_code == 200, "what was refused did not count"


def test_the_budget_slides(tmp_path: Path) -> None:
    from fastlabel_dagster.sandbox.budget import Budget
    from fastlabel_dagster.sandbox.errors import Refused

    now = [0.0]
    budget = Budget(3, lambda: now[0])
    for at in (0.0, 100.0, 200.0):
        now[0] = at
        budget.take()
    now[0] = 599.0
    with pytest.raises(Refused) as caught:
        budget.take()
    assert caught.value.headers == {"Retry-After": "1"}
    now[0] = 600.0
    budget.take()
    with pytest.raises(Refused) as caught:
        budget.take()
    assert caught.value.headers == {"Retry-After": "100"}


@pytest.mark.parametrize(
    "change",
    [
        {"annotations": [{"type": "bbox", "value": "boat", "points": [1, 2, 3, 4]}]},
        {"annotations": [{"type": "bbox", "points": [1, 2, 3, 4]}]},
        {"annotations": [{"type": "bbox", "value": "car", "points": [1, 2, 3]}]},
        {"annotations": [{"type": "bbox", "value": "car", "points": [1, 2, 3, "4"]}]},
        {"annotations": [{"type": "bbox", "value": "car", "points": None}]},
        {"annotations": [{"type": "polygon", "value": "car", "points": [1, 2, 3, 4]}]},
        {"annotations": [{"type": "segmentation", "value": "car", "points": [[[1, 2, 3]]]}]},
        {"annotations": [{"type": "pose_estimation", "value": "car", "keypoints": [{"key": "a", "value": [1]}]}]},
        {
            "annotations": [
                {"type": "bbox", "value": "car", "points": [1, 2, 3, 4], "attributes": [{"key": "wings", "value": "2"}]}
            ]
        },
        {"annotations": {"type": "bbox"}},
        {"status": "finished"},
        {"externalStatus": "finished"},
        {"priority": 7},
        {"tags": [f"tag {number}" for number in range(21)]},
        {"tags": ["x" * 141]},
        {"tags": "one"},
        {"name": ""},
        {"name": "x" * 1025 + ".jpg"},
        {"name": "a.gif"},
        {"file": "not base64!"},
        {"file": base64.b64encode(b"not an image").decode()},
        {"file": ""},
        {"assignee": 7},
    ],
    ids=lambda change: str(change)[:60],
)
def test_a_task_with_a_mistake_is_a_422_and_leaves_nothing(
    http: Http, project: str, picture: Callable[..., str], change: dict[str, Any]
) -> None:
    request = {"project": project, "name": "a.jpg", "file": image(picture)}
    refused(http("POST", "tasks/image", json={**request, **change}), 422)
    assert http("GET", "tasks/count", params={"project": project}).json() == 0
    assert http("GET", "tags", params={"project": project}).json() == []
    assert http("POST", "tasks/image", json=request).status_code == 200


def test_a_truncated_jpeg_is_refused_or_measured_but_never_a_crash(
    http: Http, project: str, picture: Callable[..., str]
) -> None:
    whole = Path(picture()).read_bytes()
    for length in (2, 20, len(whole) // 4):
        file = base64.b64encode(whole[:length]).decode()
        refused(http("POST", "tasks/image", json={"project": project, "name": f"{length}.jpg", "file": file}), 422)


def test_names_are_unique_within_a_project(http: Http, project: str, picture: Callable[..., str]) -> None:
    request = {"project": project, "name": "a.jpg", "file": image(picture)}
    assert http("POST", "tasks/image", json=request).status_code == 200
    assert "already exists" in refused(http("POST", "tasks/image", json=request), 422)
    http("POST", "projects", json={"type": "image_all", "name": "n", "slug": "other"})
    assert http("POST", "tasks/image", json={**request, "project": "other"}).status_code == 200
    assert "already exists" in refused(
        http("POST", "projects", json={"type": "image_all", "name": "n", "slug": "other"}), 422
    )
    annotation = {"project": project, "type": "bbox", "value": "car", "title": "Car"}
    assert "already exists" in refused(http("POST", "annotations", json=annotation), 422)
    assert http("POST", "datasets-v2", json={"name": "d"}).status_code == 200
    assert "already exists" in refused(http("POST", "datasets-v2", json={"name": "d"}), 422)
    object_ = {"datasetName": "d", "objectName": "a.jpg", "filePath": image(picture)}
    assert http("POST", "dataset-revision-objects", json=object_).status_code == 200
    assert "already exists" in refused(http("POST", "dataset-revision-objects", json=object_), 422)


@pytest.mark.parametrize("name", ["Upper", "with space", "under_score", "", None, "日本", "a/b", 7])
def test_dataset_names_are_lower_case_letters_digits_and_hyphen(http: Http, name: Any) -> None:
    refused(http("POST", "datasets-v2", json={"name": name}), 422)


def test_a_dataset_has_at_most_five_tags(http: Http) -> None:
    refused(http("POST", "datasets-v2", json={"name": "tagged", "tags": list("abcdef")}), 422)
    assert http("POST", "datasets-v2", json={"name": "tagged", "tags": list("abcde")}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "tasks/image?project=none"),
        ("GET", "tasks/count?project=none"),
        ("GET", "tasks/map/id-name?project=none"),
        ("GET", "annotations?project=none"),
        ("GET", "tags?project=none"),
        ("GET", "tasks/import/histories?project=none"),
        ("GET", "auto-annotations?project=none"),
        ("GET", "projects/none"),
        ("GET", "tasks/image/none"),
        ("GET", "tasks/image/classification/none"),
        ("GET", "annotations/none"),
        ("GET", "datasets-v2/none"),
        ("GET", "dataset-revision-objects?datasetName=none"),
        ("GET", "dataset-revision-objects/datasets/none/objects/a.jpg"),
        ("GET", "tasks/import/histories/none"),
        ("GET", "tasks/import/status/aws-s3/street"),
        ("GET", "trainings/none"),
        ("GET", "evaluations/none"),
        ("PUT", "tasks/image/none"),
        ("PUT", "tasks/none"),
        ("DELETE", "tasks/none"),
        ("DELETE", "tasks/none/task-annotations"),
        ("DELETE", "projects/none"),
        ("DELETE", "annotations/none"),
        ("DELETE", "datasets-v2/none"),
    ],
)
def test_what_is_not_there_is_a_404(http: Http, project: str, method: str, path: str) -> None:
    refused(http(method, path), 404)


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"text"', b'{"project": NaN}', b"\xff"])
def test_a_body_that_is_no_json_object_is_a_400(http: Http, body: bytes) -> None:
    refused(http("POST", "projects", data=body), 400)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("projects", {"type": "image_all", "name": "n", "slug": ["x"]}),
        ("projects", {"type": 5, "name": "n", "slug": "x"}),
        ("projects", {"type": "hologram", "name": "n", "slug": "x"}),
        ("projects", {"type": "image_all", "name": "n", "slug": "x", "workflow": "nine_step"}),
        ("annotations", {"project": "street", "type": "cube", "value": "x", "title": "X"}),
        ("annotations", {"project": "street", "type": "bbox", "value": {}, "title": "X"}),
        ("annotations", {"project": "street", "type": "bbox", "value": "x", "title": "X", "color": "red"}),
        ("annotations", {"project": "street", "type": "bbox", "value": "x", "title": "X", "maxAreaCount": 1001}),
        (
            "annotations",
            {
                "project": "street",
                "type": "bbox",
                "value": "x",
                "title": "X",
                "attributes": [{"key": "k", "type": "select"}],
            },
        ),
        ("tasks/tags/add", {"project": "street", "taskIds": [], "tags": ["x"]}),
        ("tasks/tags/add", {"project": "street", "taskIds": [{}], "tags": ["x"]}),
        ("tasks/tags/add", {"project": "street", "taskIds": ["x"] * 5001, "tags": ["x"]}),
        ("tags/delete/multi", {"tagIds": [{}]}),
        ("trainings", {"datasetName": {}, "baseModelName": "fastlabel", "epoch": 1}),
        ("auto-annotations", {"project": "street", "modelName": "fastlabel", "confidenceThreshold": 2}),
        ("tasks/aws-s3", {"project": "street"}),
    ],
)
def test_a_wrong_value_is_a_422(http: Http, project: str, path: str, body: dict[str, Any]) -> None:
    refused(http("POST", path, json=body), 422)


def test_a_training_needs_a_dataset_with_objects_and_an_evaluation_a_model(http: Http) -> None:
    training = {"datasetName": "empty", "baseModelName": "fastlabel_x", "epoch": 1}
    refused(http("POST", "trainings", json=training), 404)
    http("POST", "datasets-v2", json={"name": "empty"})
    assert "no objects" in refused(http("POST", "trainings", json=training), 422)
    refused(http("POST", "evaluations", json={"datasetName": "empty", "modelName": "my-own"}), 404)
    refused(http("POST", "trainings", json={**training, "datasetRevisionId": "12345678"}), 404)


def test_a_project_of_one_type_takes_only_that(http: Http, picture: Callable[..., str]) -> None:
    http("POST", "projects", json={"type": "image_bbox", "name": "n", "slug": "boxes"})
    http("POST", "projects", json={"type": "video_bbox", "name": "n", "slug": "clips"})
    polygon = {"project": "boxes", "type": "polygon", "value": "x", "title": "X"}
    refused(http("POST", "annotations", json=polygon), 422)
    task = {"project": "clips", "name": "a.jpg", "file": image(picture)}
    refused(http("POST", "tasks/image", json=task), 422)
