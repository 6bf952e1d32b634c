"""YAML that reads back as it was, also by programs that are not ours."""

from __future__ import annotations

from typing import Any

import yaml


def yaml_text(data: dict[str, Any]) -> str:
    """``data`` as YAML, its keys in their order. PyYAML leaves U+0085 bare in a text, which its own reader takes for a
    line break and gives back as a blank; here such a text stands in double quotes, with an escape for it."""
    return yaml.dump(data, Dumper=_Dumper, allow_unicode=True, sort_keys=False)


class _Dumper(yaml.SafeDumper):
    """The safe one, with texts of its own."""


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\x85" in text else None)


_Dumper.add_representer(str, _text_node)
