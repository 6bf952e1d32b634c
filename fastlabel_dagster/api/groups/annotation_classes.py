"""Annotation classes: what a project's annotations can be."""

# ruff: noqa: PLR0917 - the order of arguments is the SDK's, and part of the interface
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fastlabel_dagster.api.creation import create_once
from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.groups.group import MOST_PER_PAGE, Group, all_pages, id_in
from fastlabel_dagster.api.wire import UNSET, Json, Jsons, Unset, check_limit, given, path_to


class AnnotationClasses(Group):
    """`client.annotation_classes`: a value (for machines), a title (for people), a shape, a colour, attributes."""

    def list(
        self, project: str, value: str | None = None, offset: int | None = None, limit: int | None = MOST_PER_PAGE
    ) -> Jsons:
        """One page of a project's classes, or those with this value."""
        check_limit(limit, MOST_PER_PAGE)
        return self._list("annotations", given(project=project, value=value, offset=offset, limit=limit))

    def iter(self, project: str) -> Iterator[Json]:
        """All of them."""
        return all_pages(lambda offset, limit: self.list(project, None, offset, limit))

    def find(self, annotation_id: str) -> Json:
        """One class by id.

        Raises:
            NotFound: when there is none of this id.
        """
        return self._object("GET", path_to("annotations", annotation_id))

    def by_value(self, project: str, value: str) -> Json | None:
        """The class with exactly this value, or None; the first where several shapes share it."""
        if not value:
            raise Invalid("an empty value finds nothing")
        return next((found for found in self.list(project, value=value) if found.get("value") == value), None)

    def create(
        self,
        project: str,
        type: str,
        value: str,
        title: str,
        color: str | None = None,
        order: int | None = None,
        attributes: Sequence[Mapping[str, Any]] | None = None,
        max_area_count: int | Unset | None = UNSET,
    ) -> str:
        """Add a class. When the answer is lost, it is looked up by type and value before anything is sent again.

        Args:
            project: the project's slug.
            type: bbox, polygon, keypoint, line, circle, segmentation, pose_estimation, classification.
            value: the name that annotations carry, unique per project and type.
            title: what people read.
            color: e.g. `#ff0000`.
            order: position in the list of classes.
            attributes: dicts with `type` (text, select, radio, checkbox), `name`, `key` and, but for text, `options`.
            max_area_count: how many separate regions one segmentation annotation may have, 1 to 1,000; None is
                unlimited; left out, the API's own default of 1.

        Returns:
            The new class's id.
        """
        body = given(
            project=project, type=type, value=value, title=title, color=color, order=order, attributes=attributes
        )
        body |= _areas(max_area_count)

        def look_up() -> Json | None:
            same = (one for one in self.list(project, value) if (one.get("value"), one.get("type")) == (value, type))
            return next(same, None)

        return create_once(
            self._transport, "annotations", lambda: self._text("POST", "annotations", body), look_up, id_in
        )

    def update(
        self,
        annotation_id: str,
        *,
        value: str | None = None,
        title: str | None = None,
        color: str | None = None,
        order: int | None = None,
        attributes: Sequence[Mapping[str, Any]] | None = None,
        max_area_count: int | Unset | None = UNSET,
    ) -> str:
        """Change a class. What is left out stays; `attributes=[]` takes all away. Returns its id."""
        body = given(value=value, title=title, color=color, order=order, attributes=attributes)
        return self._text("PUT", path_to("annotations", annotation_id), body | _areas(max_area_count))

    def create_classification(self, project: str, attributes: Sequence[Mapping[str, Any]]) -> str:
        """Add the one class of a classification project, made of its attributes. Returns its id."""
        return self._text("POST", "annotations/classification", given(project=project, attributes=attributes))

    def update_classification(self, annotation_id: str, attributes: Sequence[Mapping[str, Any]]) -> str:
        """Replace the attributes of a classification project's class. Returns its id."""
        return self._text("PUT", path_to("annotations/classification", annotation_id), given(attributes=attributes))

    def delete(self, annotation_id: str) -> None:
        """Delete a class."""
        self._nothing("DELETE", path_to("annotations", annotation_id))


def _areas(max_area_count: int | Unset | None) -> Json:
    return {} if max_area_count is UNSET else {"maxAreaCount": max_area_count}
