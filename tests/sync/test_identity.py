"""Which project a mirror is of: another one under the same slug never slips in unnoticed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sync import ForeignMirror, LabelMirror, download_images, sync_project
from tests.sync.fire import Watched

PROJECT = "street"
NOTED = ("project_id", "base_url", "looked_at")


@pytest.fixture
def elsewhere(tmp_path, box_tasks):
    """The API of somebody else, who has a project of the same slug."""
    with Sandbox(tmp_path / "elsewhere") as other:
        other.state.create_project(PROJECT)
        other.state.create_class(PROJECT, "bbox", "car", "Car")
        other.state.add_tasks(PROJECT, box_tasks(5, start=500))
        yield other


def asking(sandbox: Sandbox, **how) -> FastLabelClient:
    return FastLabelClient(sandbox.token, sandbox.url, budget=None, **how)


def commit_notes(store: Path, change: Callable[[dict[str, str]], object]) -> None:
    """Write the commits of a mirror anew, with what they note changed."""
    for log in (store / "labels" / "tasks" / "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        for line in lines:
            if "commitInfo" in line:
                change(line["commitInfo"])
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))


def without_notes(store: Path) -> None:
    """The mirror as it was before its commits noted whose it is."""
    commit_notes(store, lambda info: [info.pop(fact, None) for fact in NOTED])


def noted_elsewhere(store: Path) -> None:
    """The mirror as if it had been made from an API that is not on this machine."""
    commit_notes(store, lambda info: info.update(base_url="https://labels.acme.example/v1/"))


@pytest.mark.parametrize("tasks", [20, 0])
def test_a_project_made_anew_takes_the_place_of_the_former(
    sandbox, client, box_tasks, at_the_api, in_the_mirror, tmp_path, tasks
):
    former = sandbox.state.find_project(PROJECT)["id"]
    ids = sandbox.state.add_tasks(PROJECT, box_tasks(tasks))
    first = sync_project(client, PROJECT, tmp_path)
    assert (first.project_id, first.replaced_project_id) == (former, None)
    client.projects.delete(former)
    sandbox.state.create_project(PROJECT)
    sandbox.state.create_class(PROJECT, "bbox", "car", "Car")
    new = sandbox.state.add_tasks(PROJECT, box_tasks(tasks // 2, start=7))
    said: list[str] = []
    report = sync_project(client, PROJECT, tmp_path, log=said.append)
    now = sandbox.state.find_project(PROJECT)["id"]
    assert (report.version, report.changed, report.project_id, report.replaced_project_id) == (1, True, now, former)
    assert (report.added, report.updated, report.removed) == (len(new), 0, len(ids))
    assert f"another project of this slug, {now} in place of {former}" in said[-1]

    mirror = LabelMirror(tmp_path / "labels")
    assert in_the_mirror(mirror) == at_the_api() and set(in_the_mirror(mirror, 0)) == set(ids)
    rows = {(row["task_id"], row["kind"]) for row in mirror.diff(0).table.to_pylist()}
    assert rows == {*((task, "task_removed") for task in ids), *((task, "task_added") for task in new)}
    assert [each.project_id for each in mirror.versions()] == [former, now]
    assert mirror.at().replaced_project_id == former
    again = sync_project(client, PROJECT, tmp_path)
    assert (again.changed, again.replaced_project_id) == (False, None)


def test_a_project_at_another_address_is_refused_until_it_may_take_over(
    sandbox, client, elsewhere, box_tasks, picture, in_the_mirror, tmp_path
):
    sandbox.state.add_tasks(PROJECT, box_tasks(1), {"image-00000.jpg": picture()})
    sync_project(client, PROJECT, tmp_path)
    before = in_the_mirror(LabelMirror(tmp_path / "labels"))
    with asking(elsewhere) as other:
        with pytest.raises(
            ForeignMirror, match=r"as it is at .*: give it a store of its own.*take_over=True"
        ) as refused:
            sync_project(other, PROJECT, tmp_path)
        assert sandbox.token not in str(refused.value)
        assert LabelMirror(tmp_path / "labels").version == 0
        taken = sync_project(other, PROJECT, tmp_path, take_over=True)
        assert (taken.version, taken.added, taken.removed) == (1, 5, 1)
        assert taken.replaced_project_id == sandbox.state.find_project(PROJECT)["id"]
        assert not sync_project(other, PROJECT, tmp_path).changed, "once is enough"
    with pytest.raises(ForeignMirror, match="take_over"):
        sync_project(client, PROJECT, tmp_path)
    assert in_the_mirror(LabelMirror(tmp_path / "labels"), 0) == before


def test_a_project_of_another_account_at_the_same_address_is_refused(sandbox, client, box_tasks, tmp_path):
    """The accounts of one service differ in their tokens alone; here the sandbox changes hands behind its address."""
    with Sandbox(tmp_path / "theirs") as other:
        theirs = other.state.create_project(PROJECT)  # it was there all the time, so it was not made anew
    first = sync_project(client, PROJECT, tmp_path / "store")
    client.projects.delete(first.project_id)
    sandbox.stop()
    port = int(sandbox.url.split(":")[2].split("/")[0])
    with Sandbox(tmp_path / "theirs", port=port) as other, asking(other) as client_of_theirs:
        with pytest.raises(ForeignMirror, match=rf"of another account it seems: .* this one is {theirs}.*take_over"):
            sync_project(client_of_theirs, PROJECT, tmp_path / "store")
        taken = sync_project(client_of_theirs, PROJECT, tmp_path / "store", take_over=True)
    assert (taken.replaced_project_id, taken.project_id) == (first.project_id, theirs)


class Nameless(requests.Session):
    """Answers as the API does, but says no id of any project."""

    def send(self, request, **how):
        answer = super().send(request, **how)
        if "/projects" in request.url:
            without = [{key: value for key, value in one.items() if key != "id"} for one in answer.json()]
            answer._content = json.dumps(without).encode()
        return answer


def test_an_answer_without_an_id_does_not_make_the_mirror_forget_whose_it_is(sandbox, client, box_tasks, tmp_path):
    sandbox.state.add_tasks(PROJECT, box_tasks(3))
    first = sync_project(client, PROJECT, tmp_path)
    with asking(sandbox, session=Nameless()) as nameless:
        assert not sync_project(nameless, PROJECT, tmp_path).changed
        sandbox.state.add_tasks(PROJECT, box_tasks(1, start=9))
        again = sync_project(nameless, PROJECT, tmp_path)
    assert again.changed and LabelMirror(tmp_path / "labels").at().project_id == first.project_id != ""


def test_a_mirror_from_before_takes_the_note_and_keeps_what_it_has(sandbox, client, in_the_mirror, tmp_path):
    # more tasks than one bucket is for: a note alone must not lay the mirror out anew, without a file
    sandbox.state.add_tasks(PROJECT, [{"name": f"{number}.jpg"} for number in range(4100)])
    sync_project(client, PROJECT, tmp_path, buckets=1, confirm=False)
    without_notes(tmp_path)
    mirror = LabelMirror(tmp_path / "labels")
    before = in_the_mirror(mirror)
    assert mirror.at().project_id == ""
    report = sync_project(client, PROJECT, tmp_path, confirm=False)
    assert (report.version, report.buckets_rewritten, report.removed) == (1, 0, 0)
    assert mirror.at().project_id == sandbox.state.find_project(PROJECT)["id"]
    assert mirror.at().base_url == sandbox.url
    assert report.digest == mirror.at(0).digest and in_the_mirror(mirror) == before
    assert not sync_project(client, PROJECT, tmp_path, confirm=False).changed


def test_of_two_accounts_that_sync_into_one_store_at_once_one_is_refused(
    sandbox, client, elsewhere, box_tasks, tmp_path
):
    sandbox.state.add_tasks(PROJECT, box_tasks(3))

    def overtake(offset: int) -> None:
        if not LabelMirror(tmp_path / "store" / "labels").exists:
            sync_project(client, PROJECT, tmp_path / "store")

    with asking(elsewhere, session=Watched(overtake)) as other, pytest.raises(ForeignMirror, match="take_over"):
        sync_project(other, PROJECT, tmp_path / "store")
    assert LabelMirror(tmp_path / "store" / "labels").at().tasks == 3


def test_an_address_is_the_same_however_it_is_written(sandbox, box_tasks, tmp_path):
    with asking(sandbox) as client:
        sync_project(client, PROJECT, tmp_path)
    shouted = sandbox.url.replace("http://", "HTTP://").rstrip("/")
    with FastLabelClient(sandbox.token, shouted, budget=None) as client:
        assert not sync_project(client, PROJECT, tmp_path).changed


def test_the_same_project_may_move_to_another_address_when_that_is_said(sandbox, client, box_tasks, tmp_path):
    sandbox.state.add_tasks(PROJECT, box_tasks(3))
    first = sync_project(client, PROJECT, tmp_path)
    noted_elsewhere(tmp_path)
    with pytest.raises(ForeignMirror, match="take_over"):
        sync_project(client, PROJECT, tmp_path)
    with pytest.raises(ForeignMirror, match="take_over"):
        download_images(client, PROJECT, tmp_path)
    report = sync_project(client, PROJECT, tmp_path, take_over=True)
    assert (report.version, report.replaced_project_id, report.buckets_rewritten) == (1, None, 0)
    assert report.digest == first.digest
    assert LabelMirror(tmp_path / "labels").at().base_url == sandbox.url


def test_a_sandbox_that_has_another_port_after_its_start_is_the_same(sandbox, client, box_tasks, tmp_path):
    sandbox.state.add_tasks(PROJECT, box_tasks(3))
    sync_project(client, PROJECT, tmp_path / "store")
    shutil.copytree(tmp_path / "sandbox", tmp_path / "again")
    with Sandbox(tmp_path / "again") as again, asking(again) as client_there:
        assert again.url != sandbox.url
        assert not sync_project(client_there, PROJECT, tmp_path / "store").changed
