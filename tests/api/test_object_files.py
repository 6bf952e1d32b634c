"""Dataset objects in a folder: each under its own name with its own bytes, or nothing is written at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient, Invalid, ServerError, TransportError


def storage(server: Any, reply: Any, *names: str) -> None:
    """Objects of these names; the content of each is its name."""

    def answer(seen: Any) -> Any:
        if seen.path.startswith("/v1/"):
            return reply(
                [{"name": name, "signedUrl": f"{server.base}/f/{n}", "type": "none"} for n, name in enumerate(names)]
            )
        return reply(raw=names[int(seen.path.rsplit("/", 1)[1])].encode())

    server.answer = answer


def files(folder: Path) -> dict[str, str]:
    """What lies in the folder, hidden files included, but for the listing."""
    found = {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if not p.is_dir()}
    assert [one["name"] for one in json.loads(found.pop("annotations.json"))]
    return found


@pytest.mark.parametrize(
    "names",
    [
        ("a", "a.part"),
        ("a.part", "a", "a.part.part"),
        ("a.part/x", "a"),
        ("0", "1", "x/0", ".hidden"),
        ("x/y/z", "x/y2", "xy"),
        ("猫" * 85, "x" * 255),
    ],
    ids=lambda names: names[0][:8],
)
def test_every_object_under_its_own_name(
    names: tuple[str, ...], client: FastLabelClient, server: Any, reply: Any, tmp_path: Path
) -> None:
    storage(server, reply, *names)
    assert len(client.download_dataset_objects("d", tmp_path / "out")) == len(names)
    assert files(tmp_path / "out") == {name: name for name in names}
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".unfinished")]


@pytest.mark.parametrize(
    "names",
    [
        ("./annotations.json",),
        ("annotations.json",),
        ("Annotations.JSON",),
        ("annotations.json/x",),
        ("x", "x/y"),
        ("x/y", "X"),
        ("Cat.jpg", "cat.jpg"),
        ("a/Cat.jpg", "A/cat.jpg"),
        ("a//b", "a/b"),
        ("./a", "a"),
        ("が", "か\u3099"),
        ("x" * 256,),
        ("猫" * 86,),
        ("a/" * 2_000 + "b",),
        ("\ud800",),
    ],
    ids=lambda names: ascii(names[0][:20]),
)
def test_names_that_no_folder_can_hold_are_refused_before_anything_is_written(
    names: tuple[str, ...], client: FastLabelClient, server: Any, reply: Any, tmp_path: Path
) -> None:
    storage(server, reply, "fine.jpg", *names)
    with pytest.raises(Invalid):
        client.download_dataset_objects("d", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert len(server.seen) == 1


def test_a_download_that_fails_leaves_nothing_unfinished(
    client: FastLabelClient, server: Any, reply: Any, tmp_path: Path
) -> None:
    storage(server, reply, "a")
    whole = server.answer
    server.answer = lambda seen: whole(seen) if seen.path.startswith("/v1/") else reply(raw=b"x" * 100, cut=3)
    with pytest.raises(TransportError):
        client.download_dataset_objects("d", tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("answer", [None, {"name": "a"}, ["a"], [{"name": "a"}], [{"name": "a", "signedUrl": 5}]])
def test_an_answer_that_lists_no_objects(
    answer: Any, client: FastLabelClient, server: Any, reply: Any, tmp_path: Path
) -> None:
    server.answer = lambda seen: reply(answer)
    with pytest.raises(ServerError):
        client.download_dataset_objects("d", tmp_path / "out")
    assert not (tmp_path / "out").exists()
