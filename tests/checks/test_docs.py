"""The page about the checks says what the code does."""

from __future__ import annotations

import re

from fastlabel_dagster import checks as face
from fastlabel_dagster.checks import CHECKS, names
from fastlabel_dagster.checks.standalone import _KNOWN
from fastlabel_dagster.job_reports.outcomes import success_check
from fastlabel_dagster.jobs.kinds import KINDS
from fastlabel_dagster.sensors import quality


def test_the_table_names_every_check_as_it_is(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "checks.md").read_text()
    rows = {
        cells[0].strip("` "): cells
        for cells in re.findall(r"^\| (`\w+`) \| ([^|]*) \| (\w+) \| (\w+) \| ([^|]*)\|", page, re.M)
    }
    assert list(rows) == list(CHECKS)
    for name, (_, place, on, severity, options) in rows.items():
        kind = CHECKS[name]
        assert (on, severity) == ("yes" if kind.on else "no", kind.severity), name
        assert {"project": "fastlabel/<slug>", "splits": "exports"}.get(kind.part, f"/{kind.part}`") in place, name
        assert re.findall(r"`(\w+)`:", options) == list(kind.options), name
        for option, about in kind.options.items():
            told = re.search(rf"`{option}`: ([^`]*)", options)[1]
            expected = about.default if isinstance(about.default, tuple) else (about.default,)
            for one in expected or ("none",):
                text = str(one).lower() if isinstance(one, bool) else f"{one:g}" if isinstance(one, float) else str(one)
                assert text in told, f"{name}.{option} is {text}"


def test_the_page_names_every_builder_and_every_check_there_is(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "checks.md").read_text()
    for name in face.__all__:
        if name.startswith("build_") and name != "build_remote_checks":
            assert name in page
        if name.endswith("_CHECK"):
            assert f"`{getattr(face, name)}`" in page
    listed = page.split("`build_label_checks` takes")[1].split("##")[0]
    assert set(re.findall(r"`(\w+)`", listed)) == set(_KNOWN)


def test_both_tables_name_all_checks_the_code_names_and_no_others(pytestconfig):
    page = (pytestconfig.rootpath / "docs" / "checks.md").read_text()
    firsts = re.findall(r"^\| (`[^|]*) \|", page, re.M)
    named = {
        value
        for module in (names, quality)
        for constant, value in vars(module).items()
        if constant.endswith("_CHECK") and isinstance(value, str)
    }
    assert set(re.findall(r"`(\w+)`", " ".join(firsts))) == named | {success_check(kind) for kind in KINDS.values()}
