"""A code location of 300 projects loads from its state file with the network shut. How fast, ``benchmarks/load.py``
says; a clock has no place in a test."""

from __future__ import annotations

import pytest

from benchmarks.load import DEFINITIONS, PROBES, make, run

PROJECTS = 300


def test_three_hundred_projects_are_checked_without_a_network(tmp_path):
    found = run(make(tmp_path, PROJECTS, "gathered"))
    assert found.assets >= 3000
    # mirror, three tables, pictures, two exports and the dataset, of each project
    assert found.made == 8 * PROJECTS
    assert found.checks == 9 * PROJECTS
    # one step for all checks that ask the API, and no copy of it for each check, which would take seconds
    assert found.check_definitions == 1


@pytest.mark.parametrize(
    ("form", "assets", "made", "checks"),
    [
        ("shown", 10 * 20, 0, 0),
        ("partitioned", 8, 7, 0),  # for any number of projects: mirror, tables, pictures, exports, and the project
        ("bare_specs", 10 * 20, 0, 0),
        ("bare_steps", 10 * 20, 8 * 20, 9 * 20),
    ],
)
def test_every_form_that_is_measured_is_what_it_says(tmp_path, form, assets, made, checks):
    found = run(make(tmp_path, 20, form), "load")
    assert (found.assets, found.made, found.checks) == (assets, made, checks)


def test_the_network_is_shut_while_it_loads(tmp_path):
    folder = make(tmp_path, 0, "empty")
    asks = "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/', timeout=1)\n"
    (folder / "place" / "definitions.py").write_text(asks + DEFINITIONS, encoding="utf-8")
    with pytest.raises(RuntimeError, match="the network was touched"):
        run(folder, "load")
    assert all(probe.startswith("import socket") and "refuse" in probe for probe in PROBES.values())
