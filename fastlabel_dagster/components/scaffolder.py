"""``dg scaffold defs``: asks for the name of the variable that holds the token, and never writes a secret."""

from __future__ import annotations

from typing import Any

import dagster as dg
import yaml
from pydantic import BaseModel, Field, field_validator

from fastlabel_dagster.components.connection import DEFAULT_VARIABLE, refusal


class ConnectionParams(BaseModel):
    """What both scaffolders ask for."""

    access_token_env: str = Field(
        default=DEFAULT_VARIABLE,
        description="NAME of the environment variable that holds the access token; never the token itself.",
    )
    base_url: str | None = Field(default=None, description="API address ending in /v1/, if not the public one.")

    @field_validator("access_token_env")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        wrong = refusal(value)
        if wrong is not None:
            raise _NotAName(wrong)
        return value


class _NotAName(Exception):
    """Not a ValueError: pydantic puts those into an error that quotes the value, which may be a token."""


class ProjectParams(ConnectionParams):
    """What the project's scaffolder asks for."""

    project: str = Field(description="Slug of the FastLabel project, as in its URL.")
    store: str | None = Field(
        default=None, description="Folder or s3://bucket/prefix for everything that is written; default data/PROJECT."
    )


class WorkspaceParams(ConnectionParams):
    """What the workspace's scaffolder asks for."""

    store: str | None = Field(default=None, description="Folder or s3://bucket/prefix; each project gets a part of it.")


class FastLabelProjectScaffolder(dg.Scaffolder[ProjectParams]):
    """Writes the ``defs.yaml`` of one project."""

    @classmethod
    def get_scaffold_params(cls) -> type[ProjectParams]:
        return ProjectParams

    def scaffold(self, request: dg.ScaffoldRequest[ProjectParams]) -> None:
        params = request.params
        _write(
            request,
            {
                "fastlabel": _connection(params),
                "project": params.project,
                "store": params.store or f"data/{params.project}",
                "exports": ["coco", "yolo"],
            },
        )


class FastLabelWorkspaceScaffolder(dg.Scaffolder[WorkspaceParams]):
    """Writes the ``defs.yaml`` of a workspace."""

    @classmethod
    def get_scaffold_params(cls) -> type[WorkspaceParams]:
        return WorkspaceParams

    def scaffold(self, request: dg.ScaffoldRequest[WorkspaceParams]) -> None:
        attributes: dict[str, Any] = {"fastlabel": _connection(request.params)}
        if request.params.store:
            attributes["store"] = request.params.store
        _write(request, attributes)


def _connection(params: ConnectionParams) -> dict[str, str]:
    given = {"access_token_env": params.access_token_env, "base_url": params.base_url}
    return {name: value for name, value in given.items() if value}


def _write(request: dg.ScaffoldRequest[Any], attributes: dict[str, Any]) -> None:
    """``defs.yaml`` with ``requirements.env``, so that ``dg list envs`` and deployments know what must be set."""
    dg.scaffold_component(request, attributes)
    if request.scaffold_format != "yaml":
        return
    place = request.target_path if request.append else request.target_path / "defs.yaml"
    needed = {"requirements": {"env": [attributes["fastlabel"]["access_token_env"]]}}
    with place.open("a", encoding="utf-8") as file:
        file.write("\n" + yaml.safe_dump(needed, sort_keys=False))
