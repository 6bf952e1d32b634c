"""Street scenes the sandbox draws itself, with the annotations that belong to them.

A scene is drawn from its number alone: the same number gives the same pixels and the same annotations. Geometry is
computed first and drawn from, so that annotations fit to a fraction of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fastlabel_dagster.sandbox.scene_classes import PAINTS

Pixels = NDArray[np.uint8]
Color = tuple[int, int, int]
Point = tuple[float, float]

WIDTH, HEIGHT = 640, 360
_SHIFT = 4  # OpenCV draws at 1/16 of a pixel


@dataclass
class Scene:
    """``pixels`` is uint8[360, 640, 3] in BGR; ``annotations`` are what a request to the API would carry."""

    pixels: Pixels
    annotations: list[dict[str, Any]] = field(default_factory=list)

    def label(self, kind: str, value: str, points: Any = None, **more: Any) -> None:
        """Add an annotation; coordinates are rounded to 1/100 of a pixel."""
        annotation: dict[str, Any] = {"type": kind, "value": value}
        if points is not None:
            annotation["points"] = _rounded(points)
        annotation["attributes"] = [{"key": key, "value": chosen} for key, chosen in more.pop("attributes", {}).items()]
        self.annotations.append(annotation | more)


def draw_scene(number: int) -> Scene:
    """The street scene of this number: between about four and fifteen annotations of seven types."""
    rng = np.random.default_rng([20_250_401, number])
    scene = Scene(_backdrop(rng))
    for x in _spread(rng, int(rng.integers(0, 3)), 60, 560, 130):
        _tree(scene, rng, x)
    if rng.random() < 0.5:
        _lamp(scene, rng)
    if rng.random() < 0.6:
        _sign(scene, rng)
    for x in _spread(rng, int(rng.integers(0, 3)), 30, 610, 60):
        _person(scene, rng, x)
    _lanes(scene, rng)
    if rng.random() < 0.3:
        _marking(scene, rng)
    for base, length in ((268.0, 105.0), (343.0, 150.0)):
        places = _spread(rng, int(rng.integers(0, 3)), 10, 600 - length, length * 1.5)
        for x in places:
            if rng.random() < 0.2:
                _truck(scene, rng, x, base, length * 1.25)
            else:
                _car(scene, rng, x, base, length * rng.uniform(0.92, 1.05))
    _grain(scene.pixels, rng)
    return scene


def encode(pixels: Pixels, quality: int = 88) -> bytes:
    """The pixels as JPEG bytes."""
    done, buffer = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("OpenCV could not write a JPEG")
    return bytes(buffer.tobytes())


# -- what stands still -----------------------------------------------------------------------------------------------

_SKIES: tuple[tuple[Color, Color], ...] = (
    ((196, 150, 106), (232, 216, 200)),  # a clear day, BGR from the top down to the horizon
    ((140, 120, 128), (170, 190, 232)),  # dusk
    ((186, 180, 174), (222, 220, 216)),  # overcast
)


def _backdrop(rng: np.random.Generator) -> Pixels:
    top, bottom = (np.array(color, np.float32) for color in _SKIES[int(rng.integers(len(_SKIES)))])
    pixels = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    blend = np.linspace(0, 1, 200, dtype=np.float32)[:, None, None]
    pixels[:200] = top + (bottom - top) * blend
    _clouds(pixels, rng)
    x = -10
    while x < WIDTH:  # a skyline of pale houses
        width, height = int(rng.integers(38, 95)), int(rng.integers(40, 120))
        wall = (np.array([205, 212, 216]) - rng.integers(0, 60)).clip(0, 255)
        color = (int(wall[0]), int(wall[1]), int(wall[2]))
        cv2.rectangle(pixels, (x, 195 - height), (x + width, 200), color, -1)
        pane = tuple(int(c * 0.72) for c in color)
        for row in range(195 - height + 8, 180, 14):
            for column in range(x + 6, x + width - 8, 12):
                cv2.rectangle(pixels, (column, row), (column + 5, row + 7), pane, -1)
        x += width + int(rng.integers(0, 10))
    pixels[194:206] = (96, 132, 118)  # hedge, too pale to be taken for a tree
    pixels[206:232] = (178, 182, 186)  # pavement
    for x in range(int(rng.integers(0, 40)), WIDTH + 60, 40):
        cv2.line(pixels, (x, 206), (x - 26, 231), (160, 164, 168), 1, cv2.LINE_AA)
    pixels[232:236] = (128, 130, 132)  # kerb
    road = np.linspace(92, 76, HEIGHT - 236)[:, None, None]
    pixels[236:] = road.astype(np.uint8)
    return pixels


def _clouds(pixels: Pixels, rng: np.random.Generator) -> None:
    layer = np.zeros((100, WIDTH // 4), np.float32)
    for _ in range(int(rng.integers(2, 6))):
        x, y = int(rng.integers(0, WIDTH // 4)), int(rng.integers(4, 22))
        for _ in range(4):
            offset = (x + int(rng.integers(-10, 10)), y + int(rng.integers(-2, 3)))
            cv2.ellipse(layer, offset, (int(rng.integers(6, 13)), int(rng.integers(2, 5))), 0, 0, 360, 0.8, -1)
    cover = cv2.resize(cv2.GaussianBlur(layer, (0, 0), 2), (WIDTH, 400), interpolation=cv2.INTER_LINEAR)[:200, :, None]
    sky: NDArray[Any] = pixels[:200].astype(np.float32)
    pixels[:200] = sky + (250 - sky) * cover


def _tree(scene: Scene, rng: np.random.Generator, x: float) -> None:
    base, crown_y, radius = 208.0, 208.0 - rng.uniform(62, 82), rng.uniform(24, 36)
    _fill(scene.pixels, [(x - 3, base), (x - 2, crown_y), (x + 2, crown_y), (x + 3, base)], (52, 74, 98))
    crown = _blob(rng, (x, crown_y), radius, 22, 0.14)
    hole = _blob(rng, (x + rng.uniform(-6, 6), crown_y + rng.uniform(-6, 6)), radius * 0.28, 10, 0.12)
    behind = scene.pixels.copy()
    leaf = _paint("tree", rng, 95, 150)
    _fill(scene.pixels, crown, leaf)
    light = tuple(min(255, int(c * 1.25)) for c in leaf)
    for _ in range(9):
        angle, distance = rng.uniform(0, 2 * np.pi), radius * rng.uniform(0.35, 0.75)
        spot = (x + np.cos(angle) * distance, crown_y + np.sin(angle) * distance)
        _disc(scene.pixels, spot, radius * 0.16, light)  # type: ignore[arg-type]
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    _fill(mask, hole, 255)
    keep = (mask[..., None] / 255.0).astype(np.float32)
    scene.pixels[:] = behind * keep + scene.pixels * (1 - keep)
    season = ["leaves", "flowers"] if rng.random() < 0.2 else ["leaves"]
    # an outline runs clockwise on screen and a hole against it, both closed
    rings = [_closed(crown), _closed(hole[::-1])]
    scene.label("segmentation", "tree", [rings], attributes={"season": season})


def _lamp(scene: Scene, rng: np.random.Generator) -> None:
    x, top = rng.uniform(40, 600), rng.uniform(92, 118)
    _line(scene.pixels, (x, 214), (x, top), (70, 72, 74), 3)
    _line(scene.pixels, (x, top), (x + 16, top - 3), (70, 72, 74), 3)
    _disc(scene.pixels, (x + 18, top - 1), 5, (200, 236, 250))
    scene.label("keypoint", "lamp", [x + 18, top - 1])


def _sign(scene: Scene, rng: np.random.Generator) -> None:
    x, y, radius = rng.uniform(40, 600), rng.uniform(140, 160), rng.uniform(13, 18)
    kind, corners, turn = (("warning", 3, -90.0), ("stop", 3, 90.0), ("information", 4, 45.0))[int(rng.integers(3))]
    _line(scene.pixels, (x, 218), (x, y), (110, 112, 114), 3)
    angles = np.deg2rad(turn + np.arange(corners) * 360 / corners)
    shape = [(x + float(np.cos(a)) * radius, y + float(np.sin(a)) * radius) for a in angles]
    _fill(scene.pixels, shape, _paint("sign", rng, 205, 245))
    inner = [((px - x) * 0.45 + x, (py - y) * 0.45 + y) for px, py in shape]
    _fill(scene.pixels, inner, (40, 44, 50))
    scene.label("polygon", "sign", [c for point in shape for c in point], attributes={"kind": kind})


def _lanes(scene: Scene, rng: np.random.Generator) -> None:
    for y, dashed in ((276.0, True), (351.0, False)):
        slope = rng.uniform(-1.5, 1.5)
        ends = [(0.0, y - slope), (WIDTH / 2, y), (float(WIDTH), y + slope)]
        if dashed:
            for x in range(int(rng.integers(0, 30)), WIDTH, 56):
                stroke = min(x + 30, WIDTH)
                left, right = (y + (2 * at / WIDTH - 1) * slope for at in (x, stroke))
                _line(scene.pixels, (x, left), (stroke, right), (206, 208, 210), 3)
        else:
            _line(scene.pixels, ends[0], ends[-1], (206, 208, 210), 4)
        scene.label("line", "lane", [c for point in ends for c in point], attributes={"dashed": dashed})


def _marking(scene: Scene, rng: np.random.Generator) -> None:
    x, y, width, height = rng.uniform(80, 480), rng.uniform(292, 312), rng.uniform(46, 66), rng.uniform(14, 20)
    rotation = float(rng.integers(-12, 13)) % 360  # degrees, clockwise on screen, about the box's centre
    angle = np.deg2rad(rotation)
    center = (x + width / 2, y + height / 2)
    shape = []
    for dx, dy in ((-width / 2, 0), (0, -height / 2), (width / 2, 0), (0, height / 2)):  # the ◇ before a crossing
        shape.append(
            (
                float(center[0] + dx * np.cos(angle) - dy * np.sin(angle)),
                float(center[1] + dx * np.sin(angle) + dy * np.cos(angle)),
            )
        )
    cv2.polylines(scene.pixels, [_fixed(shape)], True, (214, 216, 218), 3, cv2.LINE_AA, _SHIFT)
    scene.label("bbox", "marking", [x, y, x + width, y + height], rotation=rotation)


# -- what moves ------------------------------------------------------------------------------------------------------


def _car(scene: Scene, rng: np.random.Generator, x: float, base: float, length: float) -> None:
    body = _paint("car", rng, 150, 225)
    flip = bool(rng.random() < 0.5)

    def at(u: float, v: float) -> Point:
        return (x + (1 - u if flip else u) * length, base - v * length)

    _shadow(scene.pixels, x + length / 2, base, length * 0.54)
    outline = [
        *((0.0, 0.1), (0.0, 0.22), (0.04, 0.26), (0.2, 0.27), (0.3, 0.405), (0.34, 0.42), (0.62, 0.42), (0.66, 0.405)),
        *((0.8, 0.275), (0.96, 0.24), (1.0, 0.2), (1.0, 0.1), (0.97, 0.07), (0.03, 0.07)),
    ]
    _fill(scene.pixels, [at(u, v) for u, v in outline], body)
    _fill(
        scene.pixels, [at(u, v) for u, v in ((0.25, 0.28), (0.325, 0.39), (0.465, 0.39), (0.465, 0.28))], (92, 82, 74)
    )
    _fill(
        scene.pixels, [at(u, v) for u, v in ((0.495, 0.28), (0.495, 0.39), (0.625, 0.39), (0.735, 0.28))], (92, 82, 74)
    )
    dark = tuple(int(c * 0.72) for c in body)
    _line(scene.pixels, at(0.48, 0.27), at(0.48, 0.1), dark, 1)  # type: ignore[arg-type]
    _line(scene.pixels, at(0.02, 0.155), at(0.98, 0.155), dark, 1)  # type: ignore[arg-type]
    _disc(scene.pixels, at(0.965, 0.19), length * 0.018, (214, 240, 250))
    moving = bool(rng.random() < 0.7)
    box = [x, base - 0.42 * length, x + length, base]
    scene.label("bbox", "car", box, attributes={"motion": "moving" if moving else "parked", "doors": 4 if flip else 5})
    _wheels(scene, [at(0.2, 0.095), at(0.8, 0.095)], 0.095 * length, label=length > 130)


def _truck(scene: Scene, rng: np.random.Generator, x: float, base: float, length: float) -> None:
    paint = _paint("truck", rng, 190, 235)
    _shadow(scene.pixels, x + length / 2, base, length * 0.54)
    cabin = [(0.72, 0.07), (0.72, 0.4), (0.86, 0.4), (0.97, 0.26), (1.0, 0.22), (1.0, 0.07)]
    load = [(0.0, 0.09), (0.0, 0.48), (0.7, 0.48), (0.7, 0.09)]
    for shape in (load, cabin):
        _fill(scene.pixels, [(x + u * length, base - v * length) for u, v in shape], paint)
    glass = [(0.78, 0.26), (0.78, 0.37), (0.85, 0.37), (0.93, 0.26)]
    _fill(scene.pixels, [(x + u * length, base - v * length) for u, v in glass], (92, 82, 74))
    _fill(
        scene.pixels,
        [(x + u * length, base - v * length) for u, v in ((0.08, 0.24), (0.08, 0.36), (0.62, 0.36), (0.62, 0.24))],
        (226, 232, 236),
    )
    company = ("さくら運輸", "Acme Freight", "北海物流")[int(rng.integers(3))]
    scene.label("bbox", "truck", [x, base - 0.48 * length, x + length, base], attributes={"company": company})
    _wheels(scene, [(x + u * length, base - 0.075 * length) for u in (0.18, 0.84)], 0.075 * length, label=length > 160)


def _wheels(scene: Scene, centers: list[Point], radius: float, *, label: bool) -> None:
    for center in centers:
        _disc(scene.pixels, center, radius, (34, 32, 32))
        _disc(scene.pixels, center, radius * 0.5, (176, 174, 172))
        if label:  # far wheels are too small to be worth anybody's time
            scene.label("circle", "wheel", [*center, radius])


def _person(scene: Scene, rng: np.random.Generator, x: float) -> None:
    foot, tall = rng.uniform(222, 228), rng.uniform(46, 58)
    stride, swing = rng.uniform(0.06, 0.17) * tall, rng.uniform(0.08, 0.2) * tall
    points: dict[str, Point] = {
        "head": (x, foot - 0.92 * tall),
        "neck": (x, foot - 0.8 * tall),
        "right_hand": (x - swing, foot - 0.48 * tall),
        "left_hand": (x + swing, foot - 0.5 * tall),
        "hip": (x, foot - 0.47 * tall),
        "right_foot": (x - stride, foot),
        "left_foot": (x + stride, foot - 0.02 * tall),
    }
    coat, trousers = _paint("person", rng, 130, 210), (84, 72, 66)
    for side in ("right_foot", "left_foot"):
        _line(scene.pixels, points["hip"], points[side], trousers, max(3, round(tall * 0.09)))
    for side in ("right_hand", "left_hand"):
        _line(scene.pixels, (x, foot - 0.76 * tall), points[side], coat, max(2, round(tall * 0.075)))
    chest, waist = 0.105 * tall, 0.09 * tall
    torso = [(x - chest, foot - 0.79 * tall), (x + chest, foot - 0.79 * tall), (x + waist, foot - 0.42 * tall)]
    _fill(scene.pixels, [*torso, (x - waist, foot - 0.42 * tall)], coat)
    _disc(scene.pixels, points["head"], 0.078 * tall, (150, 178, 208))
    hidden = "left_hand" if rng.random() < 0.25 else None
    scene.label(
        "pose_estimation",
        "person",
        keypoints=[
            {"key": key, "value": [*_rounded([px, py]), 0 if key == hidden else 1]} for key, (px, py) in points.items()
        ],
    )


# -- drawing ---------------------------------------------------------------------------------------------------------


def _spread(rng: np.random.Generator, count: int, low: float, high: float, apart: float) -> list[float]:
    """Up to ``count`` places between ``low`` and ``high``, at least ``apart`` from each other."""
    places: list[float] = []
    for place in rng.uniform(low, high, size=count * 4):
        if len(places) < count and all(abs(place - other) >= apart for other in places):
            places.append(float(place))
    return places


def _paint(value: str, rng: np.random.Generator, low: int, high: int) -> Color:
    """One of the class's colours, between ``low`` and ``high`` (0 to 255) in brightness."""
    hues = PAINTS[value]
    hsv = np.array([[[hues[int(rng.integers(len(hues)))], rng.integers(195, 225), rng.integers(low, high)]]], np.uint8)
    blue, green, red = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]
    return int(blue), int(green), int(red)


def _blob(rng: np.random.Generator, center: Point, radius: float, corners: int, rough: float) -> list[Point]:
    """A round, uneven outline, clockwise on screen."""
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    radii = radius * (1 + rng.uniform(-rough, rough, corners))
    return [
        (float(center[0] + np.cos(a) * r), float(center[1] + np.sin(a) * r)) for a, r in zip(angles, radii, strict=True)
    ]


def _closed(ring: list[Point]) -> list[float]:
    return [coordinate for point in [*ring, ring[0]] for coordinate in point]


def _rounded(points: Any) -> Any:
    return [_rounded(one) for one in points] if isinstance(points, (list, tuple)) else round(float(points), 2)


def _fixed(points: list[Point]) -> NDArray[np.int32]:
    # OpenCV counts from the middle of a pixel, the API from its corner
    return np.round((np.asarray(points, np.float64) - 0.5) * (1 << _SHIFT)).astype(np.int32)


def _fill(pixels: Pixels, points: list[Point], color: Color | int) -> None:
    cv2.fillPoly(pixels, [_fixed(points)], color, cv2.LINE_AA, _SHIFT)


def _line(pixels: Pixels, start: Point, end: Point, color: Color, thickness: int) -> None:
    a, b = _fixed([start, end])
    cv2.line(pixels, (int(a[0]), int(a[1])), (int(b[0]), int(b[1])), color, thickness, cv2.LINE_AA, _SHIFT)


def _disc(pixels: Pixels, center: Point, radius: float, color: Color) -> None:
    (at,) = _fixed([center])
    cv2.circle(pixels, (int(at[0]), int(at[1])), round(radius * (1 << _SHIFT)), color, -1, cv2.LINE_AA, _SHIFT)


def _shadow(pixels: Pixels, x: float, y: float, half: float) -> None:
    cv2.ellipse(pixels, (round(x), round(y)), (round(half), 5), 0, 0, 360, (58, 58, 58), -1, cv2.LINE_AA)


def _grain(pixels: Pixels, rng: np.random.Generator) -> None:
    """A little sensor noise, from a small tile to keep it cheap."""
    tile = rng.normal(0, 2.0, (90, 160, 1)).astype(np.float32)
    noise = np.tile(tile, (HEIGHT // 90, WIDTH // 160, 1))
    pixels[:] = np.clip(pixels + noise, 0, 255)
