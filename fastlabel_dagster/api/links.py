"""Links in the API's answers: a signed one lets whoever has it fetch the file, its address alone does not."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit


def without_query(url: Any) -> str:
    """``url`` without user, query and fragment, for whatever is kept or shown. Nothing for what is no link.

    Example:
        >>> without_query("https://user:word@bucket.example/model.pt?X-Amz-Signature=2f0a")
        'https://bucket.example/model.pt'
    """
    try:
        parts = urlsplit("" if url is None else str(url))
    except ValueError:  # "https://[half-a-host": nobody can say what of it would give access
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
