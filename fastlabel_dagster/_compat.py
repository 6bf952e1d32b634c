"""The few things of Dagster that are not part of its public face, each in one place and each held by a test.

Everything else in this package uses names exported by ``import dagster``, so that a range of Dagster versions works.
"""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

# What a component needs for `op:` and `translation:` in its YAML. Dagster's own integrations use them, and its docs show
# them; they are importable from where they live, but from no module that is declared public.
from dagster.components.resolved.core_models import OpSpec
from dagster.components.utils.translation import TranslationFn, TranslationFnResolver

__all__ = ["OpSpec", "TranslationFn", "TranslationFnResolver", "add_run_tags", "input_version_tag"]


def add_run_tags(instance: dg.DagsterInstance, run_id: str, tags: Mapping[str, str]) -> None:
    """Write tags onto a run that is already going; they are stored when this returns.

    ``DagsterInstance.add_run_tags`` exists since the beginning but is not marked public.
    """
    instance.add_run_tags(run_id, dict(tags))


def input_version_tag(key: dg.AssetKey) -> str:
    """The tag with which a materialization remembers the data version of its upstream asset ``key``.

    Dagster looks at the upstream version when a step starts. A sync learns the project's version only while it runs, so
    it states what it has really read; without this every sync of a changed project would leave the mirror marked stale.
    """
    return f"dagster/input_data_version/{key.to_user_string()}"
