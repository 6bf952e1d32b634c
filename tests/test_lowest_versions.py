"""The lowest versions that are declared are those that are tested."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PINS = dict(line.split("==") for line in (ROOT / "tests/lowest.txt").read_text().splitlines() if "==" in line)


@pytest.mark.parametrize("name", PINS)
def test_tests_run_with_the_lowest_version_that_is_declared(name):
    declared = re.search(rf'^  "{re.escape(name)}>=([0-9.]+)[,"]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared, f"{name} is no dependency"
    assert PINS[name] == f"{declared[1]}.*"
