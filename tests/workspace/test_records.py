"""Records are made of any answer."""

from __future__ import annotations

import pytest

from fastlabel_dagster.workspace import TrainingJob
from fastlabel_dagster.workspace.records import without_query


@pytest.mark.parametrize("url", ["https://[half-a-host/model.pt?X-Amz-Signature=s", "//a]b", None, ""])
def test_a_link_that_is_none_gives_nothing(url):
    assert without_query(url) == ""
    made = TrainingJob.of({"id": "t", "customModel": {"modelId": "m", "modelName": "ours", "modelURL": url}})
    assert made.model is not None and (made.model.name, made.model.url) == ("ours", "")


def test_of_a_link_stays_what_gives_no_access():
    assert without_query("https://u:p@bucket.example/m.pt?X-Amz-Signature=s#f") == "https://bucket.example/m.pt"
