"""What contents are called: the same for the files of a download and for the pictures formats write."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster.labels import from_fastlabel
from fastlabel_dagster.labels.content_names import content_id, content_names
from fastlabel_dagster.labels.single_pictures import single_pictures
from fastlabel_dagster.sync.wanted_files import names_of_contents

NAMES = st.lists(st.sampled_from([None, "", "a.jpg", "a.jpg#2", "b.mp4", "b.mp4#2", "content", "c.MOV\n", "é.png"]))


def test_the_first_to_have_a_name_keeps_it():
    assert content_names(["a", "a", None, "", "a#2"]) == ["a", "a#2", "content", "content#2", "a#2#2"]
    assert content_names(["a", "b"], ["a"]) == ["a#2", "b"]


@settings(deadline=None)
@given(NAMES)
def test_downloads_and_formats_call_contents_alike(names):
    called = names_of_contents(names)
    assert len(set(called)) == len(names)
    task = {"id": "t", "name": "task", "contents": [{"name": name} for name in names]}
    table = single_pictures(from_fastlabel([task])).tasks
    if not names:
        return
    pictures = table["task_id"].to_pylist()
    assert pictures == [content_id("t", own) for name, own in zip(names, called, strict=True) if name != "b.mp4"]
