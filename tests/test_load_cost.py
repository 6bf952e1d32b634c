"""A code location of 300 projects loads from its state file with the network shut. How fast, ``benchmarks/load.py``
says; a clock has no place in a test."""

from __future__ import annotations

import pytest

from benchmarks.load import DEFINITIONS, PROBE, load, make

PROJECTS = 300


def test_three_hundred_projects_load_without_a_network(tmp_path):
    empty, full = make(tmp_path / "empty", 0, "empty"), make(tmp_path / "full", PROJECTS)
    assert load(empty)[1:] == (0, 0)
    _, assets, materializable = load(full)
    assert assets >= 3000
    # mirror, three tables, pictures, two exports and the dataset, of each project
    assert materializable == 8 * PROJECTS


@pytest.mark.parametrize(
    ("form", "assets", "materializable"),
    [
        ("shown", 10 * PROJECTS, 0),
        ("partitioned", 8, 7),  # for any number of projects: mirror, tables, pictures, exports, and the project itself
        ("bare_specs", 10 * PROJECTS, 0),
        ("bare_steps", 10 * PROJECTS, 10 * PROJECTS),
    ],
)
def test_every_form_that_is_measured_is_what_it_says(tmp_path, form, assets, materializable):
    assert load(make(tmp_path / form, PROJECTS, form))[1:] == (assets, materializable)


def test_the_network_is_shut_while_it_loads(tmp_path):
    folder = make(tmp_path, 0, "empty")
    asks = "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/', timeout=1)\n"
    (folder / "place" / "definitions.py").write_text(asks + DEFINITIONS, encoding="utf-8")
    with pytest.raises(RuntimeError, match="the network was touched"):
        load(folder)
    assert "refuse" in PROBE
