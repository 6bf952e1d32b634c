"""Only Dagster's public face is used, but for ``_compat.py``: read from the source files, not from memory."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

ROOT = Path(__file__).parent.parent
#: Modules whose exported names are public: the root, and the one for components that the root does not repeat.
PUBLIC_MODULES = ("dagster", "dagster.components")
SOURCES = [
    path
    for folder in ("fastlabel_dagster", "dagster_project")
    for path in sorted((ROOT / folder).rglob("*.py"))
    if path != ROOT / "fastlabel_dagster" / "_compat.py"
]


def offences(source: str) -> list[str]:
    """What in ``source`` is not Dagster's public face, each as ``line: words``."""
    tree = ast.parse(source)
    return [f"{line}: {words}" for line, words in sorted(_offences(tree))]


def _offences(tree: ast.AST) -> Iterator[tuple[int, str]]:
    aliases = {"dagster"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                if _is_dagster(one.name) and one.name not in PUBLIC_MODULES:
                    yield node.lineno, f"import {one.name}"
                if one.name == "dagster":
                    aliases.add(one.asname or one.name)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and _is_dagster(node.module or ""):
            if node.module not in PUBLIC_MODULES:
                yield node.lineno, f"from {node.module} import …"
                continue
            exported = vars(importlib.import_module(node.module))
            for one in node.names:
                if one.name.startswith("_") or one.name not in exported:
                    yield node.lineno, f"from {node.module} import {one.name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        if isinstance(node.value, ast.Name) and node.value.id in aliases:
            if node.attr.startswith("_") or not hasattr(dg, node.attr):
                yield node.lineno, f"dagster.{node.attr}"
        elif _is_private(node.attr) and _is_foreign(node.value):
            yield node.lineno, f"….{node.attr}"


def _is_dagster(module: str) -> bool:
    return module.partition(".")[0] in {"dagster", "dagster_shared", "dagster_graphql", "dagster_webserver"}


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def _is_foreign(value: ast.expr) -> bool:
    """Whether a private attribute is taken of what may be one of Dagster's objects: those that steps are handed."""
    names = {"context", "instance", "defs", "definitions", "definition", "asset", "assets", "job", "sensor", "spec"}
    while isinstance(value, ast.Attribute):
        if value.attr in names:
            return True
        value = value.value
    if isinstance(value, ast.Call):
        return _is_foreign(value.func)
    return isinstance(value, ast.Name) and value.id in {*names, "dg"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_public_face_of_dagster_is_used(path):
    assert offences(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from dagster._core.definitions import x",
        "import dagster._serdes",
        "from dagster.components.resolved.core_models import OpSpec",
        "from dagster import _check",
        "from dagster import NoSuchName",
        "from dagster_shared import check",
        "import dagster as dg\ndg._core",
        "import dagster as dg\ndg.NoSuchName",
        "def f(context): return context._step",
        "def f(context): return context.instance._event_storage",
    ],
)
def test_the_test_finds(source):
    assert offences(source)


@pytest.mark.parametrize(
    "source",
    [
        "import dagster as dg\ndg.AssetSpec",
        "from dagster import AssetSpec",
        "from dagster.components import DefsStateConfig",
        "class A:\n def f(self): return self._own",
        "from fastlabel_dagster._compat import OpSpec",
    ],
)
def test_the_test_allows(source):
    assert offences(source) == []


def test_what_is_not_public_is_still_where_the_compat_module_finds_it():
    from fastlabel_dagster import _compat

    for name in _compat.__all__:
        assert getattr(_compat, name) is not None
    spec = _compat.component_spec(produces=["asset"], description="words")
    assert spec.description == "words"
    assert list(getattr(spec, "produces", ["asset"])) == ["asset"]
