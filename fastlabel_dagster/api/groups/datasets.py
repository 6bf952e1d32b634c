"""Datasets, FastLabel's own home of training data, and the objects in them."""

# ruff: noqa: PLR0917 - the order of arguments is the SDK's, and part of the interface
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.creation import create_once
from fastlabel_dagster.api.errors import Invalid, NotFound
from fastlabel_dagster.api.file_rules import DATASET_OBJECT, one_to_send
from fastlabel_dagster.api.groups.group import MOST_PER_PAGE, Group, all_pages
from fastlabel_dagster.api.wire import (
    Fixed,
    Json,
    Jsons,
    check_limit,
    given,
    object_types,
    path_to,
)


class Datasets(Group):
    """`client.datasets`: datasets of the workspace."""

    def list(
        self,
        keyword: str | None = None,
        tags: Sequence[str] | None = None,
        license: str | None = None,
        visibility: str | None = None,
    ) -> Jsons:
        """The datasets that match; this list has no pages.

        Args:
            keyword: a part of the name.
            visibility: `workspace`, `public` or `organization`.
        """
        return self._list("datasets-v2", given(keyword=keyword, tags=tags, license=license, visibility=visibility))

    def iter(self, keyword: str | None = None) -> Iterator[Json]:
        """The same as an iterator, as every group has one."""
        return iter(self.list(keyword))

    def find(self, dataset_id: str) -> Json:
        """One dataset by id.

        Raises:
            NotFound: when there is none of this id.
        """
        return self._object("GET", path_to("datasets-v2", dataset_id))

    def by_name(self, name: str) -> Json | None:
        """The dataset of exactly this name, or None."""
        if not name:
            raise Invalid("an empty dataset name finds nothing")
        return next((found for found in self.list(keyword=name) if found.get("name") == name), None)

    def create(self, name: str, tags: Sequence[str] | None = None, visibility: str | None = None) -> Json:
        """Make a dataset. When the answer is lost, it is looked up by its name before anything is sent again.

        Args:
            name: lower-case letters, digits and hyphens.
            tags: at most 5.
            visibility: `workspace`, `public` or `organization`.
        """
        body = given(name=name, tags=tags, visibility=visibility)
        path = "datasets-v2"
        return create_once(
            self._transport,
            path,
            lambda: self._object("POST", path, body=body),
            lambda: self.by_name(name),
            lambda found: found,
        )

    def update(self, dataset_id: str, name: str | None = None, tags: Sequence[str] | None = None) -> Json:
        """Change a dataset; what is None stays, `tags=[]` takes all away."""
        return self._object("PUT", path_to("datasets-v2", dataset_id), body=given(name=name, tags=tags))

    def delete(self, dataset_id: str) -> None:
        """Delete a dataset with its objects."""
        self._nothing("DELETE", path_to("datasets-v2", dataset_id))


class DatasetObjects(Group):
    """`client.dataset_objects`: files in a dataset, with annotations and metadata."""

    path = "dataset-revision-objects"

    def list(
        self,
        dataset: str,
        version: str | None = None,
        tags: Sequence[str] | None = None,
        licenses: Sequence[str] | None = None,
        revision_id: str | None = None,
        types: Iterable[str | Enum] | None = None,
        offset: int = 0,
        limit: int = MOST_PER_PAGE,
    ) -> Jsons:
        """One page of a dataset's objects.

        Args:
            dataset: the dataset's name.
            version: a version, `latest` when neither it nor `revision_id` is given.
            revision_id: a revision, 8 characters or more; not together with `version`.
            types: any of `none`, `train`, `valid`, `test`.
        """
        return self._list(
            self.path, _which_objects(dataset, version, tags, licenses, revision_id, types, offset, limit)
        )

    def iter(
        self,
        dataset: str,
        version: str | None = None,
        tags: Sequence[str] | None = None,
        licenses: Sequence[str] | None = None,
        revision_id: str | None = None,
        types: Iterable[str | Enum] | None = None,
    ) -> Iterator[Json]:
        """All objects; filters as in `list`."""
        kinds = object_types(types)
        return all_pages(
            lambda offset, limit: self.list(dataset, version, tags, licenses, revision_id, kinds, offset, limit)
        )

    def signed_urls(
        self,
        dataset: str,
        version: str | None = None,
        tags: Sequence[str] | None = None,
        licenses: Sequence[str] | None = None,
        revision_id: str | None = None,
        types: Iterable[str | Enum] | None = None,
        offset: int = 0,
        limit: int = MOST_PER_PAGE,
    ) -> Jsons:
        """As `list`, each object with `type` and a `signedUrl` for `client.download`."""
        return self._list(
            f"{self.path}/signed-urls",
            _which_objects(dataset, version, tags, licenses, revision_id, types, offset, limit),
        )

    def iter_signed_urls(
        self,
        dataset: str,
        version: str | None = None,
        tags: Sequence[str] | None = None,
        licenses: Sequence[str] | None = None,
        revision_id: str | None = None,
        types: Iterable[str | Enum] | None = None,
    ) -> Iterator[Json]:
        """All pages of `signed_urls`. The URLs expire, so read no further ahead than you download."""
        kinds = object_types(types)
        return all_pages(
            lambda offset, limit: self.signed_urls(dataset, version, tags, licenses, revision_id, kinds, offset, limit),
            in_flight=1,
        )

    def find(
        self, dataset_id: str, object_name: str, version: str | None = None, revision_id: str | None = None
    ) -> Json:
        """One object.

        Raises:
            NotFound: when the dataset has none of this name.
        """
        _one_of(version, revision_id)
        return self._object(
            "GET", _object_path(dataset_id, object_name), query=given(version=version, revision_id=revision_id)
        )

    def create(
        self,
        dataset: str,
        name: str,
        file_path: str | Path | None = None,
        *,
        content: bytes | None = None,
        tags: Sequence[str] | None = None,
        licenses: Sequence[str] | None = None,
        annotations: Sequence[Mapping[str, Any]] | None = None,
        custom_metadata: Mapping[str, Any] | None = None,
    ) -> Json:
        """Add a file to a dataset. When the answer is lost, it is looked up by its name before it is sent again.

        Args:
            dataset: the dataset's name.
            name: the object's name in it; slashes make folders.
            file_path: an image, video or audio file of at most 250 MB; or give its bytes as `content`.
            tags: at most 5.
            licenses: at most 10.
            annotations: sent as they are.
            custom_metadata: a flat dict of texts.

        Raises:
            Invalid: (422) when the file is too large; nothing is sent then.
        """
        file = one_to_send(file_path, content, DATASET_OBJECT)
        # The API takes the file's content, not its path, under this name.
        body = given(dataset_name=dataset, object_name=name, file_path=file)
        body |= given(tags=tags, licenses=licenses, annotations=annotations, custom_metadata=custom_metadata)

        def look_up() -> Json | None:
            same = (one for one in Datasets(self._transport).list(keyword=dataset) if one.get("name") == dataset)
            try:
                return next((self.find(str(one["id"]), name) for one in same), None)
            except NotFound:
                return None

        return create_once(
            self._transport,
            self.path,
            lambda: self._object("POST", self.path, body=body),
            look_up,
            lambda found: found,
        )

    def update(
        self,
        dataset_id: str,
        object_name: str,
        *,
        tags: Sequence[str] | None = None,
        licenses: Sequence[str] | None = None,
        annotations: Sequence[Mapping[str, Any]] | None = None,
        custom_metadata: Mapping[str, Any] | None = None,
    ) -> Json:
        """Change an object. What is None stays; an empty list or dict clears."""
        _object_path(dataset_id, object_name)  # refuses empty names, which here travel in the body
        body = given(dataset_id=dataset_id, object_name=object_name)
        body |= given(tags=tags, licenses=licenses, annotations=annotations, custom_metadata=custom_metadata)
        return self._object("PUT", self.path, body=body)

    def delete(self, dataset_id: str, object_name: str) -> None:
        """Delete an object."""
        self._nothing("DELETE", _object_path(dataset_id, object_name))


def _object_path(dataset_id: str, object_name: str) -> str:
    return path_to("dataset-revision-objects/datasets", dataset_id, Fixed("objects"), object_name)


def _one_of(version: str | None, revision_id: str | None) -> None:
    if version and revision_id:
        raise Invalid("only use specify one of revisionId or version.", status=400)


def _which_objects(
    dataset: str,
    version: str | None,
    tags: Sequence[str] | None,
    licenses: Sequence[str] | None,
    revision_id: str | None,
    types: Iterable[str | Enum] | None,
    offset: int,
    limit: int,
) -> Json:
    _one_of(version, revision_id)
    check_limit(limit, MOST_PER_PAGE)
    return given(
        dataset_name=dataset,
        version=version,
        tags=tags,
        licenses=licenses,
        revision_id=revision_id,
        types=object_types(types),
        offset=offset,
        limit=limit,
    )
