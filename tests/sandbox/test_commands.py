"""The two commands, as somebody types them."""

from __future__ import annotations

import socket
from pathlib import Path

from click.testing import CliRunner

from fastlabel_dagster.sandbox import Sandbox
from fastlabel_dagster.sandbox.commands import sandbox, seed


def test_seed_twice_says_what_is_there(tmp_path: Path) -> None:
    arguments = ["--data", str(tmp_path / "data"), "--tasks", "4"]
    first = CliRunner().invoke(seed, arguments)
    assert (first.exit_code, first.output.splitlines()[0][:25]) == (0, "street-scenes · 4 tasks ·")
    again = CliRunner().invoke(seed, arguments)
    assert again.exit_code == 0 and "already there, left as it is" in again.output


def test_seed_without_pictures_ends_with_a_message_and_no_trace(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    result = CliRunner().invoke(seed, ["--data", str(tmp_path / "data"), "--from", str(tmp_path / "folder")])
    assert result.exit_code == 1
    assert "no dataset found" in result.output and "Traceback" not in result.output


def test_a_bad_slug_is_a_message_too(tmp_path: Path) -> None:
    result = CliRunner().invoke(seed, ["--data", str(tmp_path / "data"), "--project", "a b", "--tasks", "1"])
    assert result.exit_code == 1 and "Project slug must consist of" in result.output


def test_a_busy_port_names_the_way_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(sandbox, ["--data", str(tmp_path / "data"), "--port", port])
    assert result.exit_code == 1
    assert f"port {port}" in result.output and "--port 0" in result.output


def test_a_folder_with_a_server_takes_a_seed_and_no_second_server(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "data") as running:
        second = CliRunner().invoke(sandbox, ["--data", str(tmp_path / "data"), "--port", "0"])
        assert second.exit_code == 1 and "--data" in second.output and "Traceback" not in second.output
        assert CliRunner().invoke(seed, ["--data", str(tmp_path / "data"), "--tasks", "2"]).exit_code == 0
        assert running.state.tasks.count("street-scenes") == 2


def test_an_unwritable_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for command in (sandbox, seed):
        result = CliRunner().invoke(command, ["--data", str(tmp_path / "file" / "data")])
        assert result.exit_code == 1 and "cannot write" in result.output and str(tmp_path) in result.output
