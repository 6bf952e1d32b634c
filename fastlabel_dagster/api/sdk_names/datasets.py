"""The SDK's names for datasets and the objects in them."""

# ruff: noqa: PLR0917 - the signatures are the SDK's
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.file_rules import DATASET_OBJECT, file_to_send
from fastlabel_dagster.api.object_files import save_objects
from fastlabel_dagster.api.sdk_names.face import SdkFace
from fastlabel_dagster.api.wire import (
    Fixed,
    Json,
    check_limit,
    given,
    object_types,
    path_to,
    truthy,
)

OBJECTS = "dataset-revision-objects"


class DatasetNames(SdkFace):
    """Datasets of the workspace."""

    def find_dataset(self, dataset_id: str) -> Any:
        """One dataset by id."""
        return self._get(path_to("datasets-v2", dataset_id))

    def get_datasets(
        self,
        keyword: str | None = None,
        tags: Sequence[str] | None = (),
        license: str | None = None,
        visibility: str | None = None,
    ) -> Any:
        """The datasets that match."""
        return self._get("datasets-v2", truthy(keyword=keyword, tags=tags, license=license, visibility=visibility))

    def create_dataset(self, name: str, tags: Sequence[str] | None = (), visibility: str | None = None) -> Any:
        """Make a dataset and return it."""
        return self._post("datasets-v2", {"name": name} | truthy(tags=tags, visibility=visibility))

    def update_dataset(self, dataset_id: str, name: str | None = None, tags: Sequence[str] | None = None) -> Any:
        """Change a dataset and return it. The name is always sent, null when it is not given."""
        return self._put(path_to("datasets-v2", dataset_id), {"name": name} | given(tags=tags))

    def delete_dataset(self, dataset_id: str) -> None:
        """Delete a dataset with its objects."""
        self._delete(path_to("datasets-v2", dataset_id))

    def find_dataset_object(
        self, dataset_id: str, object_name: str, version: str | None = None, revision_id: str | None = None
    ) -> Any:
        """One object of a dataset, in a version or a revision."""
        _one_of(version, revision_id)
        return self._get(_object_path(dataset_id, object_name), truthy(revision_id=revision_id, version=version))

    def get_dataset_objects(
        self,
        dataset: str,
        version: str | None = None,
        tags: Sequence[str] | None = None,
        licenses: Sequence[str] | None = None,
        revision_id: str | None = None,
        types: Iterable[str | Enum] | None = None,
        offset: int | None = 0,
        limit: int | None = 1000,
    ) -> Any:
        """One page of a dataset's objects, at most 1,000. All pages: `client.dataset_objects.iter`."""
        return self._get(OBJECTS, _which(dataset, version, tags, licenses, revision_id, types, offset, limit))

    def create_dataset_object(
        self,
        dataset: str,
        name: str,
        file_path: str | Path,
        tags: Sequence[str] | None = None,
        licenses: Sequence[str] | None = None,
        annotations: Sequence[Mapping[str, Any]] | None = None,
        custom_metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """Add a file of at most 250 MB to a dataset and return the object."""
        file = file_to_send(file_path, DATASET_OBJECT)
        body = {"datasetName": dataset, "objectName": name, "filePath": file}
        body |= truthy(tags=tags, licenses=licenses, annotations=annotations, custom_metadata=custom_metadata)
        return self._post(OBJECTS, body)

    def update_dataset_object(
        self,
        dataset_id: str,
        object_name: str,
        tags: Sequence[str] | None = None,
        licenses: Sequence[str] | None = None,
        annotations: Sequence[Mapping[str, Any]] | None = None,
        custom_metadata: Mapping[str, Any] | None = None,
    ) -> Any:
        """Change an object and return it. Empty lists are sent here, and clear."""
        _object_path(dataset_id, object_name)  # refuses empty names, which here travel in the body
        body = {"datasetId": dataset_id, "objectName": object_name}
        body |= given(tags=tags, licenses=licenses, annotations=annotations, custom_metadata=custom_metadata)
        return self._put(OBJECTS, body)

    def delete_dataset_object(self, dataset_id: str, object_name: str) -> None:
        """Delete an object."""
        self._delete(_object_path(dataset_id, object_name))

    def download_dataset_objects(
        self,
        dataset: str,
        path: str | Path,
        version: str | None = "",
        revision_id: str | None = "",
        tags: Sequence[str] | None = None,
        licenses: Sequence[str] | None = None,
        types: Iterable[str | Enum] | None = None,
        offset: int | None = 0,
        limit: int | None = 1000,
    ) -> list[Json]:
        """Download one page of a dataset's objects into a folder, with an `annotations.json`, and return them.

        With `types`, each type gets a folder of its own. Unlike the SDK, a download that fails raises, a name that
        leads out of the folder is refused, and `annotations.json` is replaced rather than added to.

        Raises:
            Invalid: when an object's name leads out of the folder; nothing has been downloaded then.
        """
        kinds = object_types(types)
        query = _which(dataset, version, tags, licenses, revision_id, kinds, offset, limit)
        return save_objects(self._transport, self._get(f"{OBJECTS}/signed-urls", query), Path(path), kinds)


def _object_path(dataset_id: str, object_name: str) -> str:
    return path_to(f"{OBJECTS}/datasets", dataset_id, Fixed("objects"), object_name)


def _one_of(version: str | None, revision_id: str | None) -> None:
    if version and revision_id:
        raise Invalid("only use specify one of revisionId or version.", status=400)


def _which(
    dataset: str,
    version: str | None,
    tags: Sequence[str] | None,
    licenses: Sequence[str] | None,
    revision_id: str | None,
    types: Iterable[str | Enum] | None,
    offset: int | None,
    limit: int | None,
) -> Json:
    kinds = object_types(types)
    _one_of(version, revision_id)
    check_limit(limit, 1000)
    query = {"datasetName": dataset, "offset": offset, "limit": limit}
    return query | truthy(revision_id=revision_id, version=version, tags=tags, licenses=licenses, types=kinds)
