"""What importing the package may load. Counts modules, not seconds: a clock has no place in a test."""

import subprocess
import sys

import pytest

HEAVY = ("pandas", "pyarrow", "numpy", "cv2", "boto3", "deltalake", "matplotlib", "requests", "pyrate_limiter")


def modules_added_by(statement: str) -> set[str]:
    probe = f"import dagster, sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_root_loads_only_itself():
    added = modules_added_by("import fastlabel_dagster")
    assert {name for name in added if not name.startswith("fastlabel_dagster")} == set()
    assert "fastlabel_dagster.api" not in added


def test_the_code_location_loads_nothing_heavy():
    added = {name.split(".")[0] for name in modules_added_by("import dagster_project.definitions")}
    assert added.isdisjoint(HEAVY)


@pytest.mark.parametrize("name", __import__("fastlabel_dagster").__all__)
def test_every_promised_name_is_there(name):
    import fastlabel_dagster

    assert getattr(fastlabel_dagster, name) is not None
    assert name in dir(fastlabel_dagster)


def test_an_unknown_name_is_an_attribute_error():
    import fastlabel_dagster

    with pytest.raises(AttributeError, match="no_such_name"):
        fastlabel_dagster.no_such_name  # noqa: B018
