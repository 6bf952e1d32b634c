"""What a Hugging Face dataset says of itself: its features in the card (``README.md``) and in Parquet files.

``datasets`` takes the features from the YAML head of the card, or from the key ``huggingface`` of a Parquet schema;
either makes the categories ``ClassLabel`` with their names. Lists are declared as ``Sequence``, which old and new
versions read; ``List`` is unknown to the old ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from fastlabel_dagster.formats.huggingface.rows import Shape
from fastlabel_dagster.formats.yaml_text import yaml_text

CARD = "README.md"
#: Column -> type, in the order of the columns.
_PLAIN = {"image_id": "int64", "task_id": "string", "width": "int64", "height": "int64"}
_OBJECT = {"id": "int64", "area": "float64", "bbox": "float64", "category": "category", "iscrowd": "int64"}
_TAGS = {"detect": "object-detection", "classify": "image-classification"}
_BOX = 4


def card(shape: Shape, splits: Sequence[str], paths: str, *, image: bool, file_name: bool) -> bytes:
    """The card: ``paths`` is the pattern of a split's files, with ``{}`` for its name; ``image`` and ``file_name`` say
    whether there are columns of these names."""
    features: list[dict[str, Any]] = [{"name": "image", "dtype": "image"}] if image else []
    features += [{"name": name, "dtype": kind} for name, kind in _columns(file_name).items()]
    category = _yaml_names(shape)
    if shape.task == "classify":
        features.append({"name": "label", "dtype": category})
    else:
        fields: list[dict[str, Any]] = []
        for name, kind in _OBJECT.items():
            if name == "bbox":
                fields.append({"name": name, "sequence": kind, "length": _BOX})
            else:
                fields.append({"name": name, "dtype": category if kind == "category" else kind})
        features.append({"name": "objects", "sequence": fields})
    head: dict[str, Any] = {"task_categories": [_TAGS[shape.task]], "dataset_info": {"features": features}}
    if splits:
        files = [{"split": split, "path": paths.format(split)} for split in splits]
        head["configs"] = [{"config_name": "default", "data_files": files}]
    return f"---\n{yaml_text(head)}---\n".encode()


def schema_metadata(shape: Shape, *, image: bool) -> Mapping[bytes, bytes]:
    """The metadata of a Parquet schema that makes ``datasets`` give typed features."""
    features: dict[str, Any] = {"image": {"_type": "Image"}} if image else {}
    features |= {name: _value(kind) for name, kind in _columns(True).items()}
    named = shape.category == "index" or shape.task == "classify"
    category = {"names": list(shape.names), "_type": "ClassLabel"} if named else _value("string")
    if shape.task == "classify":
        features["label"] = category
    else:
        fields: dict[str, Any] = {name: _value(kind) for name, kind in _OBJECT.items()}
        fields["bbox"] = {"feature": _value("float64"), "length": _BOX, "_type": "Sequence"}
        fields["category"] = category
        features["objects"] = {"feature": fields, "_type": "Sequence"}
    return {b"huggingface": orjson.dumps({"info": {"features": features}})}


def _columns(file_name: bool) -> dict[str, str]:
    return {"image_id": "int64", "task_id": "string"} | ({"file_name": "string"} if file_name else {}) | _PLAIN


def _value(kind: str) -> dict[str, str]:
    return {"dtype": kind, "_type": "Value"}


def _yaml_names(shape: Shape) -> Any:
    if shape.category == "name" and shape.task == "detect":
        return "string"
    return {"class_label": {"names": {str(place): name for place, name in enumerate(shape.names)}}}
