"""Outlines that cross or touch themselves, against a brute force that does exact arithmetic edge by edge."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastlabel_dagster.labels import crossings, from_fastlabel
from fastlabel_dagster.labels.geometry import flatten


def contact(*rings):
    """(crosses, touches) of each ring, given as a list of corners."""
    polygon = [{"type": "polygon", "value": "a", "points": [n for point in ring for n in point]} for ring in rings]
    flat = flatten(from_fastlabel([{"id": "t", "name": "t", "annotations": polygon}]).tasks)
    assert flat.well_formed.all(), "the test's own rings have three vertices"
    found = crossings.self_contact(flat, np.arange(len(flat.ring_region)))
    assert not found.unexamined.any()
    return list(zip(found.crosses.tolist(), found.touches.tolist(), strict=True))


def brute(ring):
    """The same by looking at every pair of edges with fractions; nothing is shared with the tested code."""
    points = [(Fraction(x), Fraction(y)) for x, y in ring]
    points = [point for before, point in zip([points[-1], *points], points, strict=False) if point != before]
    edges = [(point, points[(i + 1) % len(points)]) for i, point in enumerate(points)]
    crosses = touches = False
    for i, j in combinations(range(len(edges)), 2):
        shared = shared_part(*edges[i], *edges[j])
        if shared == "stretch":
            crosses = True
        elif shared is not None:
            adjacent = j == i + 1 or (i == 0 and j == len(edges) - 1)
            if adjacent:
                continue
            if shared in (*edges[i], *edges[j]):
                touches = True
            else:
                crosses = True
    return crosses, touches


def shared_part(a, b, c, d):
    """None, the one point two segments share, or "stretch": solved as a linear system."""
    r, s, w = (b[0] - a[0], b[1] - a[1]), (d[0] - c[0], d[1] - c[1]), (c[0] - a[0], c[1] - a[1])
    determinant = r[0] * s[1] - r[1] * s[0]
    if determinant:
        t = (w[0] * s[1] - w[1] * s[0]) / determinant
        u = (w[0] * r[1] - w[1] * r[0]) / determinant
        return (a[0] + t * r[0], a[1] + t * r[1]) if 0 <= t <= 1 and 0 <= u <= 1 else None
    if w[0] * r[1] - w[1] * r[0]:
        return None  # beside each other
    length = r[0] * r[0] + r[1] * r[1]
    along = sorted((p[0] - a[0]) * r[0] + (p[1] - a[1]) * r[1] for p in (c, d))
    low, high = max(Fraction(0), along[0]), min(length, along[1])
    if low > high:
        return None
    return "stretch" if low < high else (a[0] + low / length * r[0], a[1] + low / length * r[1])


@pytest.mark.parametrize(
    ("ring", "expected"),
    [
        ([(0, 0), (4, 0), (4, 4), (0, 4)], (False, False)),
        ([(0, 0), (4, 0), (4, 4), (0, 4), (0, 0)], (False, False)),  # closed, as some tools write it
        ([(0, 0), (0, 0), (4, 0), (4, 4), (4, 4)], (False, False)),
        ([(0, 0), (4, 4), (4, 0), (0, 4)], (True, False)),  # a bow tie
        ([(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)], (False, True)),  # a vertex on an edge
        ([(0, 0), (2, 2), (4, 0), (4, 4), (2, 2), (0, 4)], (False, True)),  # two vertices in one place
        ([(0, 0), (4, 0), (4, 4), (4, 2), (4, 6), (0, 6)], (True, True)),  # back along its own edge, and forth
        ([(0, 0), (4, 0), (8, 0), (2, 0)], (True, True)),
        ([(0, 0), (4, 0), (4, 4), (1, 4), (1, 0), (3, 0), (3, 5), (0, 5)], (True, True)),  # along another edge
        ([(0, 0), (1, 10), (2, 0), (3, 10), (4, 0), (5, 11), (-1, 11)], (False, False)),
        ([(0, 0), (float("nan"), 4), (4, 0), (0, 4)], (False, False)),
    ],
)
def test_what_is_known_by_looking(ring, expected):
    crosses, touches = contact(ring)[0]
    assert crosses is expected[0]
    if not crosses:
        assert touches is expected[1]
        assert contact([(y, x) for x, y in ring])[0] == expected, "the sweep along the other axis"


grid = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=9)
fractional = st.lists(
    st.tuples(*[st.sampled_from([0.1, 0.2, 0.3, 0.7, 1.1, 1e-170, 2e-170, 1e9 + 0.1, -0.3])] * 2),
    min_size=3,
    max_size=7,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(grid, fractional), min_size=1, max_size=8))
def test_every_outline_is_judged_as_by_looking_at_all_pairs_of_edges(rings):
    expected = [brute(ring) for ring in rings]
    found = contact(*rings)
    assert [crosses for crosses, _ in found] == [crosses for crosses, _ in expected]
    assert all(one == other for one, other in zip(found, expected, strict=True) if not other[0])


def test_larger_outlines_that_nearly_cross_are_judged_exactly():
    rng = np.random.default_rng(7)
    rings = []
    for count in rng.integers(20, 60, 40).tolist():
        angle = np.sort(rng.uniform(0, 2 * np.pi, count))
        reach = rng.uniform(50, 100, count)
        ring = np.round(np.stack([100 + reach * np.cos(angle), 100 + reach * np.sin(angle)], axis=1), 1)
        if rng.random() < 0.5:  # two vertices change places: it may cross now
            at = int(rng.integers(0, count - 3))
            ring[[at, at + 3]] = ring[[at + 3, at]]
        rings.append(ring.tolist())
    expected = [brute(ring) for ring in rings]
    assert 5 < sum(crosses for crosses, _ in expected) < 35, "the test shows both"
    assert [one[0] for one in contact(*rings)] == [one[0] for one in expected]


def test_a_point_just_off_a_line_is_on_its_side_of_it():
    # (0.1 + 0.2, 0.3) is off the diagonal by one unit in the last place; a tolerance would not see it.
    slit = [(0.0, 0.0), (0.5, 0.5), (0.5, 0.6), (0.1 + 0.2, 0.3), (0.0, 0.6)]
    assert contact(slit) == [brute(slit)]
    other = [(0.0, 0.0), (0.5, 0.5), (0.5, 0.6), (0.3, 0.1 + 0.2), (0.0, 0.6)]
    assert contact(other) == [brute(other)]
    assert brute(slit)[0] != brute(other)[0]


@pytest.mark.parametrize("scale", [1e-170, 1e-300, 1e150, 1e300])
def test_the_smallest_and_the_largest_coordinates_are_judged_alike(scale):
    bow_tie, square, notch = (
        [(0, 0), (4, 4), (4, 0), (0, 4)],
        [(0, 0), (4, 0), (4, 4), (0, 4)],
        [(0, 0), (4, 0), (2, 1), (4, 4), (0, 4)],
    )
    for ring, expected in ((bow_tie, (True, False)), (square, (False, False)), (notch, (False, False))):
        scaled = [(x * scale, y * scale) for x, y in ring]
        assert contact(scaled) == [expected] == [brute(scaled)]


def test_holes_are_judged_on_their_own():
    region = [[[0, 0, 9, 0, 9, 9, 0, 9, 0, 0], [2, 2, 6, 6, 6, 2, 2, 6, 2, 2]]]
    flat = flatten(
        from_fastlabel(
            [{"id": "t", "name": "t", "annotations": [{"type": "segmentation", "value": "a", "points": region}]}]
        ).tasks
    )
    assert crossings.self_contact(flat, np.array([0, 1])).crosses.tolist() == [False, True]
    assert crossings.self_contact(flat, np.array([1])).crosses.tolist() == [True]
    assert crossings.self_contact(flat, np.array([], np.int64)).crosses.tolist() == []


def test_what_is_too_tangled_is_said_to_be_so(monkeypatch):
    monkeypatch.setattr(crossings, "MOST_STEPS", 3)
    comb = [(x, y) for x in range(0, 20, 2) for y in (0, 50 if x % 4 else 1)]
    hedgehog = [*comb, (20, 60), (-1, 60)]
    polygon = {"type": "polygon", "value": "a", "points": [n for point in hedgehog for n in point]}
    square = {"type": "polygon", "value": "a", "points": [0, 0, 4, 0, 4, 4, 0, 4]}
    flat = flatten(from_fastlabel([{"id": "t", "name": "t", "annotations": [polygon, square]}]).tasks)
    assert crossings.self_contact(flat, np.array([0, 1])).unexamined.tolist() == [True, False]
