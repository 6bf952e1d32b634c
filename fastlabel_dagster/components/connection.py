"""``fastlabel:`` in a component's YAML: where the API is, and the *name* of the variable that holds the token.

The token itself never enters: a component loads with the variable unset, and what Dagster stores and shows of the
resource is the variable's name. A token typed into the YAML is refused, in words that do not repeat it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache, lru_cache
from typing import Any

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.fields import FieldInfo

from fastlabel_dagster.resource import FastLabelResource

DEFAULT_VARIABLE = "FASTLABEL_ACCESS_TOKEN"

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{0,127}")
_LONGEST_WORD = 20


def refusal(name: object) -> str | None:
    """Why ``name`` is not taken as the name of an environment variable; None when it is. Never repeats ``name``.

    Names are written in capital letters, digits and underscores, as is the custom, and no part between two underscores
    is a long run with digits in it: that looks like a secret somebody has pasted.
    """
    asked = (
        f"access_token_env takes the NAME of an environment variable, such as {DEFAULT_VARIABLE}: capital letters, "
        "digits and underscores. "
    )
    if not isinstance(name, str) or not name:
        return asked + "What is there is no text."
    words = name.split("_")
    if not _VARIABLE.fullmatch(name) or any(len(word) >= _LONGEST_WORD and re.search(r"\d", word) for word in words):
        return (
            asked + "What is there looks like something else, perhaps the token itself, and is not repeated here. "
            "If it was a token that others can read now, have it replaced in FastLabel."
        )
    return None


def _as_in_the_resource(name: str) -> Any:
    """The field of :class:`FastLabelResource` called ``name``: its default, limits and description, said once."""
    told: FieldInfo = FastLabelResource.model_fields[name]
    field = Field(default=told.default, description=told.description)
    field.metadata = list(told.metadata)
    return field


class FastLabelConnection(dg.Model, dg.Resolvable):
    """The attributes of ``fastlabel:``; all but the token are those of ``FastLabelResource``."""

    model_config = ConfigDict(hide_input_in_errors=True)

    access_token_env: str = Field(
        default=DEFAULT_VARIABLE,
        description="NAME of the environment variable that holds the access token. Never the token itself.",
        examples=[DEFAULT_VARIABLE],
    )
    access_token: str | None = Field(
        default=None, description="Refused: a token does not belong into a file. Use access_token_env."
    )
    base_url: str = _as_in_the_resource("base_url")
    connect_timeout_seconds: float = _as_in_the_resource("connect_timeout_seconds")
    read_timeout_seconds: float = _as_in_the_resource("read_timeout_seconds")
    request_attempts: int = _as_in_the_resource("request_attempts")
    requests_per_10_minutes: int = _as_in_the_resource("requests_per_10_minutes")
    step_retries: int = _as_in_the_resource("step_retries")
    step_retry_seconds: float = _as_in_the_resource("step_retry_seconds")

    @classmethod
    def model(cls) -> type[BaseModel]:
        """What Dagster reads the YAML with. It lets unknown names pass: :func:`refuse_tokens` refuses them, in words
        for somebody who has misspelt ``access_token``."""
        return _open_model(cls)

    def resource(self) -> FastLabelResource:
        """The resource for this connection: the same object for the same settings.

        Dagster merges the definitions of several components only when a resource key holds one and the same object in
        all of them, so two projects of one workspace share their resource without anybody's doing.

        Raises:
            ValueError: there is a token where the name of a variable belongs.
        """
        if self.access_token is not None:
            raise ValueError(no_token_here())
        wrong = refusal(self.access_token_env)
        if wrong is not None:
            raise ValueError(wrong)
        settings = self.model_dump(exclude={"access_token", "access_token_env"})
        settings["base_url"] = settings["base_url"] or ""
        return _resource(self.access_token_env, tuple(settings.items()))


@cache
def _open_model(connection: type[FastLabelConnection]) -> type[BaseModel]:
    derived: Any = super(FastLabelConnection, connection).model()
    made: type[BaseModel] = create_model(derived.__name__, __base__=derived)
    made.model_config["extra"] = "allow"
    for field in made.model_fields.values():
        field.metadata = []  # limits, which pydantic cannot hold a template against; they are looked at all the same
    made.model_rebuild(force=True)
    return made


@lru_cache(maxsize=256)
def _resource(variable: str, settings: tuple[tuple[str, Any], ...]) -> FastLabelResource:
    return FastLabelResource(access_token=dg.EnvVar(variable), **dict(settings))


def no_token_here() -> str:
    """The sentence for whoever has typed ``access_token`` into the YAML."""
    return (
        "access_token is refused in YAML, so that no token ends in a repository: put it into an environment variable "
        f"and write that variable's name, access_token_env: {DEFAULT_VARIABLE}. "
        "If others can read the token now, have it replaced in FastLabel."
    )


def unknown_names(names: Iterable[object]) -> str | None:
    """What is wrong with ``fastlabel:`` when it has other names than its attributes; None when it has not.

    Only a name that could be a misspelt attribute is repeated: whoever has pasted a token may have pasted it anywhere.
    """
    wrong = [str(name) for name in names if str(name) not in FastLabelConnection.model_fields]
    if not wrong:
        return None
    told = sorted(name for name in wrong if get_close_matches(name, FastLabelConnection.model_fields))
    if len(told) < len(wrong):
        told.append(f"{len(wrong) - len(told)} name(s) unlike any of its own")
    known = ", ".join(name for name in FastLabelConnection.model_fields if name != "access_token")
    return (
        f"fastlabel does not take {', '.join(told)}. It takes {known}. What was written there is not repeated here: "
        "if it was a token that others can read now, have it replaced in FastLabel."
    )


def refuse_tokens(attributes: BaseModel | Mapping[str, Any] | None) -> None:
    """Look at a component's raw attributes before anything is made of them.

    Dagster quotes the lines of the YAML in the errors of what it resolves; a token has to be refused before that.

    Raises:
        ValueError: ``fastlabel.access_token`` is there, ``access_token_env`` does not look like a variable's name, or
            ``fastlabel`` is given an attribute that it does not have.
    """
    said = attributes.model_dump(exclude_unset=True) if isinstance(attributes, BaseModel) else dict(attributes or {})
    connection = said.get("fastlabel")
    if not isinstance(connection, Mapping):
        return
    if connection.get("access_token") is not None:
        raise ValueError(no_token_here())
    unknown = unknown_names(connection)
    if unknown is not None:
        raise ValueError(unknown)
    name = connection.get("access_token_env", DEFAULT_VARIABLE)
    if isinstance(name, str) and "{{" in name:
        return  # a template; what comes out of it is looked at when it is resolved
    wrong = refusal(name)
    if wrong is not None:
        raise ValueError(wrong)
