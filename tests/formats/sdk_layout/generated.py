"""Tasks inside the domain where the official SDK is right: what both must write the same."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

VALUES = ["bird", "cat", "dog 犬"]
NAMES = ["a.jpg", "b c.PNG", "sub/a.jpg", "sub/更に/é.jpeg", "x.y.jpg", "no-extension"]
COLOUR = "#ff8000"
WIDTH, HEIGHT = 120, 90
KEYS = ["nose", "tail", "ear"]


def annotation(kind: str, points: Any, value: str = "cat", **fields: Any) -> dict[str, Any]:
    """As the API answers it."""
    return {
        "id": "a",
        "type": kind,
        "title": value,
        "value": value,
        "color": COLOUR,
        "attributes": [],
        "rotation": 0,
        "confidenceScore": -1,
        "keypoints": [],
        "points": points,
        **fields,
    }


def task(name: str, *annotations: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """As the API answers it."""
    return {
        "id": f"id of {name}",
        "name": name,
        "width": WIDTH,
        "height": HEIGHT,
        "url": f"https://pictures.invalid/{name}",
        "status": "approved",
        "tags": [],
        "metadatas": [],
        **fields,
        "annotations": list(annotations),
    }


def places(most: int) -> st.SearchStrategy[float]:
    """A coordinate with at most two decimals."""
    return st.integers(0, most) | st.integers(0, 100 * most).map(lambda number: number / 100)


@st.composite
def boxes(draw: Any, *, whole: bool = False, **fields: Any) -> dict[str, Any]:
    """More than a pixel wide and high, inside the picture."""
    x, y = draw(st.integers(0, WIDTH - 2)), draw(st.integers(0, HEIGHT - 2))
    u, v = draw(st.integers(x + 1, WIDTH - 1)), draw(st.integers(y + 1, HEIGHT - 1))
    parts = [0, 0, 0, 0] if whole else [draw(st.integers(0, 99)) / 100 for _ in range(4)]
    points = [side + part for side, part in zip((x, y, u, v), parts, strict=True)]
    return annotation("bbox", points, draw(st.sampled_from(VALUES)), **fields)


@st.composite
def polygons(draw: Any, *, whole: bool = False) -> dict[str, Any]:
    """Three to eight corners anywhere in the picture, not all of them in one row or column."""
    x, y = (st.integers(0, WIDTH), st.integers(0, HEIGHT)) if whole else (places(WIDTH), places(HEIGHT))
    corners = draw(
        st.lists(st.tuples(x, y), min_size=3, max_size=8, unique=True).filter(
            lambda found: all(max(axis) - min(axis) > 1 for axis in zip(*found, strict=True))
        )
    )
    return annotation("polygon", [number for corner in corners for number in corner], draw(st.sampled_from(VALUES)))


@st.composite
def areas(draw: Any, *, regions: int = 2) -> dict[str, Any]:
    """One or more regions beside each other, without holes: triangles and rectangles, closed."""
    found = []
    step = WIDTH // regions
    for number in range(draw(st.integers(1, regions))):
        x = number * step + draw(st.integers(0, 10))
        y, width, height = draw(st.integers(0, 40)), draw(st.integers(2, step - 12)), draw(st.integers(2, 49))
        ring = [x, y, x + width, y, x + width, y + height, x, y + height]
        ring = ring[: draw(st.sampled_from([6, 8]))]
        found.append([[*ring, *ring[:2]]])
    return annotation("segmentation", found, draw(st.sampled_from(VALUES)))


@st.composite
def attributes(draw: Any) -> list[dict[str, Any]]:
    values = st.text(max_size=4) | st.booleans() | st.lists(st.sampled_from(["a", "b"]), max_size=2) | st.integers(0, 9)
    keys = draw(st.lists(st.sampled_from(["kind", "ü", "size"]), unique=True, max_size=3))
    return [
        {"key": key, "name": key, "type": {bool: "switch", list: "checkbox"}.get(type(value), "text"), "value": value}
        for key, value in zip(keys, draw(st.lists(values, min_size=3, max_size=3)), strict=False)
    ]


@st.composite
def poses(draw: Any) -> dict[str, Any]:
    """Some keypoints of a class, in any order."""
    keys = draw(st.permutations(KEYS))[: draw(st.integers(1, 3))]
    points = [
        {
            "key": key,
            "name": key,
            "value": draw(st.none() | st.tuples(places(WIDTH), places(HEIGHT), st.sampled_from([0, 1])).map(list)),
            "edges": [],
        }
        for key in keys
    ]
    points[0]["value"] = points[0]["value"] or [1, 2, 1]
    return annotation("pose_estimation", [], "dog 犬", keypoints=points)


def classes(*, order: list[str], posed: bool = False) -> list[dict[str, Any]]:
    """Annotation classes as the API answers them; that of the pose has keypoints."""
    points = [
        {"id": f"k-{key}", "key": key, "name": key, "color": f"#00000{number}", "edges": edges}
        for number, (key, edges) in enumerate(zip(KEYS, (["k-tail"], ["k-nose", "k-ear"], ["k-tail"]), strict=True))
    ]
    return [
        {
            "id": f"c-{value}",
            "type": "pose_estimation" if posed and value == "dog 犬" else "bbox",
            "value": value,
            "title": value.title(),
            "color": f"#0000{number:02}",
            "order": 10 * number,
            "attributes": [],
            "keypoints": points if posed and value == "dog 犬" else [],
        }
        for number, value in enumerate(order, start=1)
    ]


def projects(shape: st.SearchStrategy[dict[str, Any]], most: int = 5) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Tasks of these annotations, with names in any order."""
    tasks = st.lists(st.lists(shape, max_size=most), min_size=1, max_size=4)
    names = st.permutations(NAMES)
    return st.tuples(tasks, names).map(
        lambda found: [task(name, *shapes) for shapes, name in zip(found[0], found[1], strict=False)]
    )
