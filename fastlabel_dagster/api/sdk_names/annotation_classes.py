"""The SDK's names for annotation classes, which it calls annotations."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastlabel_dagster.api.sdk_names.face import SdkFace, first_of, named
from fastlabel_dagster.api.wire import UNSET, Unset, path_to, truthy


class AnnotationClassNames(SdkFace):
    """Annotation classes of a project."""

    def find_annotation(self, annotation_id: str) -> Any:
        """One class by id."""
        return self._get(path_to("annotations", annotation_id))

    def find_annotation_by_value(self, project: str, value: str) -> Any:
        """The first class that the API lists under this value, or None. An empty value is refused."""
        return first_of(self.get_annotations(project=project, value=named(value, "value")))

    def get_annotations(
        self, project: str, value: str | None = None, offset: int | None = None, limit: int | None = 10
    ) -> Any:
        """One page of a project's classes: 10 unless `limit` asks for more, at most 1,000."""
        query = {"project": project} | truthy(value=value, offset=offset, limit=limit)
        return self._get_page("annotations", query, limit=limit)

    def create_annotation(
        self,
        project: str,
        type: str,
        value: str,
        title: str,
        color: str | None = None,
        order: int | None = None,
        attributes: Sequence[Mapping[str, Any]] | None = (),
        max_area_count: int | Unset | None = UNSET,
    ) -> Any:
        """Add a class and return its id."""
        body = {"project": project, "type": type, "value": value, "title": title}
        body |= truthy(color=color, order=order, attributes=attributes)
        return self._post("annotations", body | _areas(max_area_count))

    def create_classification_annotation(self, project: str, attributes: Sequence[Mapping[str, Any]]) -> Any:
        """Add the class of a classification project and return its id."""
        return self._post("annotations/classification", {"project": project, "attributes": attributes})

    def update_annotation(
        self,
        annotation_id: str,
        value: str | None = None,
        title: str | None = None,
        color: str | None = None,
        order: int | None = None,
        attributes: Sequence[Mapping[str, Any]] | None = (),
        max_area_count: int | Unset | None = UNSET,
    ) -> Any:
        """Change a class and return its id. Empty attributes are not sent."""
        body = truthy(value=value, title=title, color=color, order=order, attributes=attributes)
        return self._put(path_to("annotations", annotation_id), body | _areas(max_area_count))

    def update_classification_annotation(self, annotation_id: str, attributes: Sequence[Mapping[str, Any]]) -> Any:
        """Replace the attributes of a classification project's class and return its id."""
        return self._put(path_to("annotations/classification", annotation_id), {"attributes": attributes})

    def delete_annotation(self, annotation_id: str) -> None:
        """Delete a class."""
        self._delete(path_to("annotations", annotation_id))


def _areas(max_area_count: int | Unset | None) -> dict[str, Any]:
    # By name as well, so that the SDK's own marker, should code hold on to it, means the same here.
    if max_area_count is UNSET or repr(max_area_count) == "UNSET":
        return {}
    return {"maxAreaCount": max_area_count}
