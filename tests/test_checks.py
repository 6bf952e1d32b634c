"""What the checks say, from the numbers they are given."""

from __future__ import annotations

import dagster as dg
import pytest

from fastlabel_dagster.checks import parity_result

KEY = dg.AssetKey(["street-scenes", "labels"])


@pytest.mark.parametrize("settled", [True, False])
def test_parity_says_when_the_project_was_changing(settled):
    result = parity_result(KEY, mirrored=3, quarantined=1, counted=4, settled=settled)
    assert result.passed and "3 mirrored + 1 in quarantine, the API counts 4" in result.description
    assert ("was changing while it was read" in result.description) is not settled
    assert result.metadata["settled"].value is settled
