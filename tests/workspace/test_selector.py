"""Selectors: what is written for one, and which projects it means."""

from __future__ import annotations

import pytest

from fastlabel_dagster.workspace import Project, ProjectSelector

PROJECTS = [
    Project(slug="street-day", type="image_bbox", status="active"),
    Project(slug="street-night", type="video_bbox", status="active"),
    Project(slug="street-old", type="image_bbox", status="archived"),
    Project(slug="港湾", type="image_polygon", status="active"),
]


def chosen(given):
    selector = ProjectSelector.of(given)
    return [project.slug for project in PROJECTS if selector.matches(project)]


@pytest.mark.parametrize(
    ("given", "slugs"),
    [
        (None, ["street-day", "street-night", "street-old", "港湾"]),
        ("street-day", ["street-day"]),
        ("street-*", ["street-day", "street-night", "street-old"]),
        (["street-day", "港*"], ["street-day", "港湾"]),
        ({"slugs": ["港湾"], "globs": "*-night"}, ["street-night", "港湾"]),
        ({"types": "image_*", "statuses": ["active"]}, ["street-day", "港湾"]),
        ({"globs": ["street-*"], "exclude": ["*-old"]}, ["street-day", "street-night"]),
        ({"slugs": ["street"]}, []),
        ({"types": ["unheard_of"]}, []),
    ],
)
def test_what_is_written_means_these_projects(given, slugs):
    assert chosen(given) == slugs


def test_a_misspelt_field_is_refused_by_name():
    with pytest.raises(ValueError, match="no slug; it has exclude, globs, slugs, statuses, types"):
        ProjectSelector.of({"slug": ["street"]})
    with pytest.raises(ValueError, match="types of a selector is a list of texts"):
        ProjectSelector(types=(1,))


def test_equal_selectors_are_equal_however_they_are_written():
    assert ProjectSelector.of(["a", "b*"]) == ProjectSelector.of({"slugs": ["a"], "globs": ("b*",)})
