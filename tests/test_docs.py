"""The pages that name tests and files name such as there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tests_and_files_a_page_names_are_there(page):
    text = page.read_text(encoding="utf-8")
    missing = []
    for path, test in re.findall(r"(tests/[\w/]+(?:\.py)?)(?:::(\w+))?", text):
        place = ROOT / path
        if not place.exists() or (test and f"def {test}(" not in place.read_text(encoding="utf-8")):
            missing.append(f"{path}::{test}")
    for name in re.findall(r"`(test_\w+\.py)`", text):
        if not any((ROOT / "tests").rglob(name)):
            missing.append(name)
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
        if not (page.parent / target).exists():
            missing.append(target)
    assert not missing
