"""Of a link stays what gives no access to anything."""

from __future__ import annotations

import pytest

from fastlabel_dagster.api.links import without_query


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://user:pass@host:8443/a/b.zip?X-Signature=1#frag", "https://host:8443/a/b.zip"),
        ("http://127.0.0.1:1/m?token=x", "http://127.0.0.1:1/m"),
        ("https://bucket.example/m.pt;v=1?X-Amz-Signature=s", "https://bucket.example/m.pt;v=1"),
        ("https://host:not-a-port/m?token=x", "https://host:not-a-port/m"),
        ("https://[half-a-host/model.pt?X-Amz-Signature=s", ""),
        ("//a]b", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_loses_its_signature_and_what_is_no_link_is_nothing(url, expected):
    assert without_query(url) == expected
