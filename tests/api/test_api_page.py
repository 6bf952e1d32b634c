"""The page about the API is what its script writes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.api.sdk_names.differences import DIFFERENCES, ON_FILES

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> Any:
    pytest.importorskip("fastlabel")
    spec = importlib.util.spec_from_file_location("api_page", ROOT / "scripts" / "api_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "scripts"))  # as Python does for a script that it runs
        spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date(script: Any) -> None:
    assert (ROOT / "docs" / "api.md").read_text(encoding="utf-8") == script.page(), "run python scripts/api_page.py"


def test_the_page_names_every_method_and_both_spellings(script: Any, token: str) -> None:
    import fastlabel

    page = script.page()
    methods = [
        name for name in dir(fastlabel.Client) if not name.startswith("_") and callable(getattr(fastlabel.Client, name))
    ]
    assert len(methods) == 159
    assert [name for name in methods if f"`{name}`" not in page] == []
    spelled = {k: v for one in script.MODALITIES for k, v in script.modality_methods(one).items()}
    for section in script.SECTIONS.values():
        spelled |= section
    with FastLabelClient(token, "http://api.example/v1", budget=None) as client:
        for name, ours in spelled.items():
            target: Any = client
            for part in ours.split("."):
                target = getattr(target, part)
            assert callable(target)
            assert callable(getattr(client, name))
    assert sorted([*spelled, *script.FILE_METHODS]) == sorted(methods)
    assert all(one.reason in page for one in (*DIFFERENCES, *ON_FILES))
