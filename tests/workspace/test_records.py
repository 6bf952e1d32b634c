"""Records are made of any answer."""

from __future__ import annotations

import pytest

from fastlabel_dagster.workspace import TrainingJob


@pytest.mark.parametrize("url", ["https://[half-a-host/model.pt?X-Amz-Signature=s", "//a]b", None, ""])
def test_a_model_without_a_real_link_is_a_model(url):
    made = TrainingJob.of({"id": "t", "customModel": {"modelId": "m", "modelName": "ours", "modelURL": url}})
    assert made.model is not None and (made.model.name, made.model.url) == ("ours", "")
