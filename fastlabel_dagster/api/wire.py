"""How arguments become paths, queries and JSON bodies of the API. Nothing here changes what the caller passed in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import quote

from fastlabel_dagster.api.errors import Invalid

Json = dict[str, Any]
"""A JSON object exactly as the API sends or takes it."""

Jsons = list[dict[str, Any]]
"""A page of them. It has a name because inside a group `list` is a method."""

MEGABYTE: Final = 1024 * 1024

USER_KEYWORDS: Final = (
    "assignee",
    "reviewer",
    "approver",
    "external_assignee",
    "external_reviewer",
    "external_approver",
    *(f"workflow_{step}_user" for step in range(1, 7)),
)
"""Keywords that put a person (a user slug) on a task; None takes the person off."""

OBJECT_TYPES: Final = ("none", "train", "valid", "test")
"""What a dataset object is used for."""


class _Unset(Enum):
    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = _Unset.UNSET
"""Stands for "leave it as it is" where None itself is a value that can be sent."""

Unset = _Unset


def camel(name: str) -> str:
    """The API's spelling of a Python keyword: `externalStatus` for `external_status`."""
    first, *others = name.split("_")
    return first + "".join("TTA" if part == "tta" else part.capitalize() for part in others)


def given(**values: Any) -> Json:
    """Fields for a query or body: what is None is left out, everything else is sent, empty lists included."""
    return {camel(name): value for name, value in values.items() if value is not None}


def truthy(**values: Any) -> Json:
    """As `given`, by the SDK's rule: whatever is falsy (`''`, `0`, `[]`) is left out too."""
    return {camel(name): value for name, value in values.items() if value}


def path_to(*parts: object) -> str:
    """A path below the base URL. The first part is a fixed path; the others are ids and names, percent-encoded whole.

    Raises:
        Invalid: when an id is empty, or is a dot segment that the way to the server would swallow. Either would
            reach another endpoint, the collection's own for instance.
    """
    fixed, *ids = parts
    return "/".join([str(fixed), *(_segment(part) for part in ids)])


def _segment(part: object) -> str:
    if isinstance(part, Fixed):
        return part
    text = "" if part is None else str(part)
    if not text.strip() or text in (".", ".."):
        raise Invalid(f"{text!r} cannot be an id or a name in a request", hint="pass the id of an existing object")
    # surrogatepass never meets a server: lone surrogates are refused here, in words, and not deep inside requests.
    try:
        return quote(text, safe="")
    except UnicodeEncodeError:
        raise Invalid(f"{text!r} cannot be written as UTF-8") from None


class Fixed(str):
    """A part of a path that belongs to the endpoint and is sent as it is."""

    __slots__ = ()


def check_limit(limit: int | None, maximum: int) -> int | None:
    """The limit, unchanged.

    Raises:
        Invalid: (422) when it is over the endpoint's maximum, as the SDK does; nothing is sent.
    """
    try:
        beyond = limit is not None and limit > maximum
    except TypeError:
        raise Invalid(f"Limit must be a number, not {limit!r}.", status=422) from None
    if beyond:
        raise Invalid(f"Limit must be less than or equal to {maximum}.", status=422)
    return limit


def users_to_send(users: Mapping[str, str | None]) -> Json:
    """The user keywords under their names on the wire; None stays, it clears the field.

    Raises:
        Invalid: when a keyword is not one of `USER_KEYWORDS`, so that a misspelt one is noticed.
    """
    unknown = [name for name in users if name not in USER_KEYWORDS]
    if unknown:
        raise Invalid(
            f"unknown keyword {', '.join(map(repr, unknown))}", hint="users are given as " + ", ".join(USER_KEYWORDS)
        )
    return {camel(name): user for name, user in users.items()}


def annotations_to_send(annotations: Iterable[Mapping[str, Any]], content: str | None) -> list[Json]:
    """Copies of annotations in the shape requests take them, so that what a task answer holds can be sent back.

    `id`, `title` and `color` stay behind (they belong to the class), as do `edges` and `name` of keypoints and `title`,
    `name` and `type` of attributes. `content`, unless None, names the file that the annotation lies on.
    """
    return [_annotation_to_send(annotation, content) for annotation in _listed(annotations, "annotations")]


def _annotation_to_send(annotation: Mapping[str, Any], content: str | None) -> Json:
    sent = _without(annotation, "id", "title", "color")
    if content is not None:
        sent["content"] = content
    if sent.get("keypoints") is not None:
        sent["keypoints"] = [
            _without(keypoint, "edges", "name") for keypoint in _listed(sent["keypoints"], "keypoints")
        ]
    sent["attributes"] = attributes_to_send(sent.get("attributes") or ())
    return sent


def attributes_to_send(attributes: Iterable[Mapping[str, Any]]) -> list[Json]:
    """Copies of attribute values without `title`, `name` and `type`, which belong to the class."""
    return [_without(attribute, "title", "name", "type") for attribute in _listed(attributes, "attributes")]


def _listed(values: object, what: str) -> list[Any]:
    """The values as a list.

    Raises:
        Invalid: when they are no collection of dicts; a single dict and a text are none either.
    """
    if isinstance(values, Iterable) and not isinstance(values, (str, bytes, Mapping)):
        found = list(values)
        if all(isinstance(value, Mapping) for value in found):
            return found
    raise Invalid(f"{what} are a list of dicts")


def _without(mapping: Mapping[str, Any], *keys: str) -> Json:
    return {key: value for key, value in mapping.items() if key not in keys}


def object_types(types: Iterable[str | Enum] | None) -> list[str]:
    """Dataset object types by name; enum members with those values are taken as well.

    Raises:
        Invalid: (a ValueError too) when one is not among `OBJECT_TYPES`.
    """
    names = [str(kind.value if isinstance(kind, Enum) else kind) for kind in types or ()]
    for name in names:
        if name not in OBJECT_TYPES:
            raise Invalid(f"Invalid DatasetObjectType: {name}. types must be {list(OBJECT_TYPES)}")
    return names
