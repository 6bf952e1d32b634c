"""Annotations drawn on pictures: beside the official SDK's drawing, and what must never change."""

from __future__ import annotations

import copy
import json

import cv2
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastlabel_dagster.formats.overlays import lettering as letters
from fastlabel_dagster.formats.overlays import write as module
from fastlabel_dagster.formats.overlays.drawing import Shape, Style, draw
from fastlabel_dagster.formats.overlays.shapes import NO_COLOUR, parsed_colour
from fastlabel_dagster.store import ImageFolder, open_store

ORANGE = "#ff8000"


def photo(width=640, height=480, seed=0):
    noise = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def point(key, value, *edges):
    return {"key": key, "name": key, "value": value, "edges": list(edges)}


RING = [100, 100, 300, 100, 300, 300, 100, 300, 100, 100]
HOLE = [150, 150, 150, 200, 200, 200, 200, 150, 150, 150]
FAR_RING = [400, 50, 450, 50, 450, 90, 400, 90, 400, 50]
POSE = [
    point("head", [100.5, 60, 1], "right", "left"),
    point("right", [300, 300, 1], "head", "nobody"),
    point("left", [80, 400, 0], "head"),
    point("foot", None, "left"),
]
SHAPES = {
    "bbox": {"type": "bbox", "points": [100, 100, 300, 250]},
    "polygon": {"type": "polygon", "points": [50, 50, 500, 80, 400, 400, 200, 300]},
    "circle": {"type": "circle", "points": [320, 240, 70]},
    "keypoint": {"type": "keypoint", "points": [320, 240]},
    "line": {"type": "line", "points": [10, 10, 400, 100, 300, 470]},
    "segmentation": {"type": "segmentation", "points": [[RING, HOLE], [FAR_RING]]},
    "pose_estimation": {"type": "pose_estimation", "keypoints": POSE},
}


def annotation(shape, **fields):
    return {"value": "dog", "title": "Dog", "color": ORANGE, "attributes": [], **copy.deepcopy(shape), **fields}


class Desk:
    """One picture, and what is drawn on it."""

    def __init__(self, bench, place, picture, name="a.png"):
        self.bench, self.place, self.picture, self.name = bench, place, picture, name
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / name), picture)
        self.images = ImageFolder(open_store(place))
        self.images.save(pa.table({"task_id": ["t"], "file": [name]}))

    def task(self, *annotations):
        height, width = self.picture.shape[:2]
        return self.bench.task(self.name, *annotations, id="t", width=width, height=height)

    def draw(self, *annotations, **options):
        """The report, and the drawn picture."""
        report = self.bench.write(self.task(*annotations), format="overlays", images=self.images, **options)
        return report, cv2.imread(str(self.bench.folder / "overlays" / self.name))


@pytest.fixture
def desk(bench, tmp_path):
    return Desk(bench, tmp_path / "pictures", photo())


@pytest.mark.parametrize("size", [(640, 480), (2000, 1600)])
@pytest.mark.parametrize("kind", SHAPES)
def test_shapes_are_drawn_as_by_the_sdk(bench, tmp_path, monkeypatch, kind, size):
    fastlabel = pytest.importorskip("fastlabel")
    monkeypatch.setenv("FASTLABEL_ACCESS_TOKEN", "none")
    desk = Desk(bench, tmp_path / "pictures", photo(*size))
    shape = annotation(SHAPES[kind])
    report, ours = desk.draw(shape)
    assert report.written == 1
    task = json.loads(json.dumps(desk.task(shape)))
    fastlabel.Client().export_image_with_annotations([task], str(desk.place), str(tmp_path / "sdk"))
    theirs = cv2.imread(str(tmp_path / "sdk" / "a.png"), cv2.IMREAD_UNCHANGED)
    if kind == "segmentation":
        assert theirs.shape[2] == 4 and theirs[..., 3].min() < 255, "the SDK makes the picture see-through there"
        theirs = theirs[..., :3]
    mine, other = (ours != desk.picture).any(axis=2), (theirs != desk.picture).any(axis=2)
    assert (mine & other).sum() / (mine | other).sum() > 0.9
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    assert difference[mine & other].mean() < 1


def test_the_sdk_draws_a_turned_box_upright(desk, tmp_path, monkeypatch):
    fastlabel = pytest.importorskip("fastlabel")
    monkeypatch.setenv("FASTLABEL_ACCESS_TOKEN", "none")
    shape = annotation({"type": "bbox", "points": [100, 200, 300, 220]}, rotation=90)
    _, ours = desk.draw(shape)
    fastlabel.Client().export_image_with_annotations([desk.task(shape)], str(desk.place), str(tmp_path / "sdk"))
    theirs = cv2.imread(str(tmp_path / "sdk" / "a.png"))
    rows, columns = np.nonzero((theirs != desk.picture).any(axis=2))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (100, 200, 300, 220)
    rows, columns = np.nonzero((ours != desk.picture).any(axis=2))
    assert (columns.min(), rows.min(), columns.max(), rows.max()) == (190, 110, 210, 310)


def test_the_sdk_drops_a_colour_it_cannot_read_and_says_nothing(desk, tmp_path, monkeypatch):
    fastlabel = pytest.importorskip("fastlabel")
    monkeypatch.setenv("FASTLABEL_ACCESS_TOKEN", "none")
    shape = annotation(SHAPES["bbox"], color="sky")
    fastlabel.Client().export_image_with_annotations([desk.task(shape)], str(desk.place), str(tmp_path / "sdk"))
    assert np.array_equal(cv2.imread(str(tmp_path / "sdk" / "a.png")), desk.picture)
    report, ours = desk.draw(shape, classes=[desk.bench.klass("dog", color="#00ff00")])
    assert [(note.reason, note.count) for note in report.altered] == [(NO_COLOUR, 1)]
    change = ours.astype(int) - desk.picture
    assert change[200, 200, 1] > 0 > change[200, 200, 0] + change[200, 200, 2]
    _, grey = desk.draw(shape, classes=[])
    assert np.abs(grey[175, 100].astype(int) - 128).max() < 20


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#ff8000", (0, 128, 255)),
        (" #FF8000 ", (0, 128, 255)),
        ("#f80", (0, 136, 255)),
        ("#ff800033", (0, 128, 255)),
        ("red", (0, 0, 255)),
        ("", None),
        (None, None),
        ("#ff80", (136, 255, 255)),
        ("#ff80g0", None),
        ("#12345", None),
        ("nocolour", None),
    ],
)
def test_colours(text, colour):
    assert parsed_colour(text) == colour


def test_outside_of_the_shapes_no_pixel_changes(desk):
    half = [annotation(shape) for shape in SHAPES.values()]
    _, ours = desk.draw(*half)
    changed = (ours != desk.picture).any(axis=2)
    assert changed.any() and not changed[:, 505:].any() and not changed[472:].any()
    _, hole = desk.draw(annotation(SHAPES["segmentation"]))
    changed = (hole != desk.picture).any(axis=2)
    expected = np.zeros_like(changed)
    expected[100:300, 100:300] = True
    expected[150:200, 150:200] = False
    expected[50:90, 400:450] = True
    assert not (changed & ~expected).any()
    assert changed.sum() > 0.99 * expected.sum(), "but for pixels that have the colour already"


_PLACE = st.floats(-1e6, 1e6) | st.floats(-30, 90) | st.integers(-5, 60)


@given(
    kind=st.sampled_from(["bbox", "polygon", "line", "circle", "keypoint", "segmentation", "pose_estimation"]),
    numbers=st.lists(st.tuples(_PLACE, _PLACE), min_size=4, max_size=9),
    radius=st.floats(0.01, 1e6),
    thickness=st.none() | st.integers(1, 9),
)
@example("bbox", [(0.0, 0.0), (0.0, 2.3e-311), (30000.0, 0.0), (0.0, 0.0)], 1.0, None)  # a side of almost no length
@settings(max_examples=150, deadline=None)
def test_no_pixel_far_from_a_shape_changes_wherever_it_lies(kind, numbers, radius, thickness):
    pixels = np.full((48, 64, 3), 100, np.uint8)
    ring = np.array(numbers[: {"bbox": 4, "circle": 1, "keypoint": 1}.get(kind, len(numbers))], np.float64)
    shape = Shape(kind, (0, 128, 255), [ring], [[ring.reshape(-1)]], radius, ((0, 1), (1, 3)))
    draw(pixels, shape, Style(thickness))
    reach = (radius if kind == "circle" else 0) + max(thickness or 0, 8) + 1
    rows, columns = np.nonzero((pixels != 100).any(axis=2))
    if len(rows):
        assert ring[:, 0].min() - reach <= columns.min() and columns.max() <= ring[:, 0].max() + reach
        assert ring[:, 1].min() - reach <= rows.min() and rows.max() <= ring[:, 1].max() + reach


def test_a_line_that_reaches_far_out_runs_as_one_that_does_not():
    near, far = (np.full((50, 80, 3), 100, np.uint8) for _ in range(2))
    draw(near, Shape("line", (0, 0, 0), [np.array([[-80.0, -50], [160, 100]])], []), Style(3))
    draw(far, Shape("line", (0, 0, 0), [np.array([[-8e8, -5e8], [16e8 / 2, 5e8]])], []), Style(3))
    same = ((near != 100) == (far != 100)).mean()
    assert (far != 100).any() and same > 0.99


def test_thickness_and_fill(desk):
    _, thin = desk.draw(annotation(SHAPES["line"]), thickness=1)
    _, wide = desk.draw(annotation(SHAPES["line"]), thickness=9)
    touched = [(picture != desk.picture).any(axis=2).sum() for picture in (thin, wide)]
    assert 7 < touched[1] / touched[0] < 11
    _, empty = desk.draw(annotation(SHAPES["bbox"]), fill=0, thickness=2)
    assert np.array_equal(empty[110:240, 110:290], desk.picture[110:240, 110:290])
    _, full = desk.draw(annotation(SHAPES["segmentation"]), fill=1)
    assert (full[210:290, 210:290] == (0, 128, 255)).all()


@pytest.mark.parametrize(
    "options",
    [
        {"thickness": 0},
        {"thickness": 1.5},
        {"fill": 2},
        {"fill": float("nan")},
        {"picture_format": "gif"},
        {"quality": 0},
    ],
)
def test_impossible_options(desk, options):
    with pytest.raises(ValueError, match=next(iter(options)) if "picture_format" not in options else "gif"):
        desk.draw(**options)


def test_without_pictures_there_is_nothing_to_draw_on(bench):
    with pytest.raises(ValueError, match="name the image folder"):
        bench.write(bench.task(), format="overlays")
    assert not (bench.folder / "overlays").exists()


def test_what_cannot_be_drawn_is_told(bench, tmp_path):
    place = tmp_path / "pictures"
    place.mkdir()
    cv2.imwrite(str(place / "good.png"), photo(64, 48))
    (place / "bad.png").write_bytes(b"no picture")
    (place / "empty.png").write_bytes(b"")
    images = ImageFolder(open_store(place))
    names = ["good", "bad", "empty", "gone"]
    images.save(pa.table({"task_id": names, "file": [f"{name}.png" for name in names]}))
    shapes = [annotation({"type": "bbox", "points": [1, 1, 20, 20]}), annotation({"type": "ner"}, start=1, end=2)]
    tasks = [bench.task(f"{name}.png", *shapes, id=name, width=64, height=48) for name in [*names, "unlisted"]]
    report = bench.write(*tasks, format="overlays", images=images)
    assert (report.annotations, report.written, report.images, report.files) == (10, 1, 1, 2)
    reasons = {(note.reason, note.type): note.count for note in report.dropped}
    assert reasons == {
        ("not a shape that can be drawn", "ner"): 5,
        (module.NO_PICTURE, "bbox"): 4,
        (module.UNREADABLE, "image"): 3,
        ("there is no picture of it in the image folder", "image"): 1,
    }
    rows = [json.loads(line) for line in (bench.folder / "overlays" / module.INDEX_FILE).read_text().splitlines()]
    assert rows == [{"file": "good.png", "task_id": "good", "name": "good.png", "annotations": 1}]


def test_names_cannot_collide_nor_leave_the_folder(bench, tmp_path, tree):
    place = tmp_path / "pictures"
    place.mkdir()
    names = {"1": "a.jpg", "2": "a.png", "3": "../../a.jpg", "4": "scan", "5": "scan.gif"}
    for identity in names:
        cv2.imwrite(str(place / f"{identity}.png"), photo(64, 48))
    images = ImageFolder(open_store(place))
    images.save(pa.table({"task_id": list(names), "file": [f"{identity}.png" for identity in names]}))
    tasks = [bench.task(name, id=identity, width=64, height=48) for identity, name in names.items()]
    for kind, kinds in (("same", {"jpg", "png"}), ("png", {"png"}), ("jpg", {"jpg"})):
        report = bench.write(*tasks, format="overlays", images=images, picture_format=kind)
        files = {name for name in tree(bench.folder / "overlays") if not name.endswith(("json", "jsonl"))}
        assert len(files) == report.images == 5
        assert {name.rpartition(".")[2] for name in files} == kinds
        assert sorted(path.name for path in bench.folder.iterdir()) == ["overlays", "pictures"]


def test_the_same_bytes_every_time(desk, tree):
    shapes = [annotation(shape) for shape in SHAPES.values()]
    first, _ = desk.draw(*shapes, names=True)
    before = tree(desk.bench.folder / "overlays")
    second, _ = desk.draw(*shapes, names=True)
    assert tree(desk.bench.folder / "overlays") == before
    assert first.bytes == second.bytes == sum(len(data) for name, data in before.items() if name != "report.json")


def test_photographs_are_drawn_on_the_way_up_the_task_knows(bench, tmp_path):
    image = pytest.importorskip("PIL.Image")
    place = tmp_path / "pictures"
    place.mkdir()
    exif = image.Exif()
    exif[0x0112] = 6
    stored = image.fromarray(np.full((40, 80, 3), 200, np.uint8))
    stored.save(place / "a.jpg", exif=exif)
    images = ImageFolder(open_store(place))
    images.save(pa.table({"task_id": ["t"], "file": ["a.jpg"]}))
    for width, height in ((40, 80), (80, 40)):
        task = bench.task(
            "a.jpg", annotation({"type": "keypoint", "points": [5, 5]}), id="t", width=width, height=height
        )
        report = bench.write(task, format="overlays", images=images)
        assert cv2.imread(str(bench.folder / "overlays" / "a.jpg")).shape[:2] == (height, width)
        assert not report.noticed
    report = bench.write(bench.task("a.jpg", id="t", width=8, height=4), format="overlays", images=images)
    assert report.noticed[0].reason == module.OTHER_SIZE


def test_titles_are_written_or_told_never_question_marks(desk):
    private = "\U000f1234"  # a letter of nobody's, which no font has
    plain = annotation(SHAPES["bbox"], title="Dog")
    report, titled = desk.draw(plain, names=True)
    _, untitled = desk.draw(plain)
    assert not report.altered and (titled != untitled).any()
    rows, columns = np.nonzero((titled != untitled).any(axis=2))
    assert rows.max() <= 100 and columns.min() >= 100, "above the box, from its left side on"
    report, _ = desk.draw(annotation(SHAPES["bbox"], title=private), plain, names=True)
    assert [(note.reason, note.count) for note in report.altered] == [(module.NOT_WRITABLE, 1)]
    assert report.written == 2
    assert letters.lettering("犬", 20) is None or letters.lettering("犬", 20).any()
    for odd in ("", " ", "a\x00b", "\ud800", "x" * 5000, private):
        found = letters.lettering(odd, 12)
        assert found is None or found.shape[1] < 2000


@pytest.fixture
def film(tmp_path):
    place = tmp_path / "videos"
    place.mkdir()
    writer = cv2.VideoWriter(str(place / "cat.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("OpenCV has no codec for MP4 here")
    for _ in range(4):
        writer.write(np.full((48, 64, 3), 100, np.uint8))
    writer.release()
    images = ImageFolder(open_store(place))
    images.save(pa.table({"task_id": ["v"], "file": ["cat.mp4"]}))
    return images


def video(bench, count=4):
    track = {"2": {"value": [10, 10, 30, 30]}, "4": {"value": [20, 10, 40, 30]}, "5": {"value": [0, 0, 1, 1]}}
    shape = annotation({"type": "bbox", "points": track})
    return bench.task("road/cat.mp4", shape, id="v", width=64, height=48, frameCount=count)


def changed_columns(picture):
    return np.flatnonzero((np.abs(picture.astype(int) - 100) > 30).any(axis=(0, 2)))


def test_every_frame_of_a_video_is_a_picture(bench, film):
    report = bench.write(video(bench), format="overlays", images=film)
    place = bench.folder / "overlays" / "road"
    assert sorted(path.name for path in place.iterdir()) == [f"cat_{number}.jpg" for number in range(4)]
    drawn = [changed_columns(cv2.imread(str(place / f"cat_{number}.jpg"))) for number in range(4)]
    assert [len(columns) > 0 for columns in drawn] == [False, True, False, True]
    assert abs(drawn[1][0] - 10) <= 2 and abs(drawn[3][0] - 20) <= 2
    assert (report.tasks, report.annotations, report.written, report.images) == (1, 3, 2, 4)


def test_a_video_becomes_a_video(bench, film, tree):
    report = bench.write(video(bench), format="overlays", images=film, video=True)
    assert sorted(tree(bench.folder / "overlays")) == ["pictures.jsonl", "report.json", "road/cat.mp4"]
    assert (report.written, report.images, report.files) == (2, 4, 2)
    before = tree(bench.folder / "overlays")
    capture = cv2.VideoCapture(str(bench.folder / "overlays" / "road" / "cat.mp4"))
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)
    frames = []
    while (found := capture.read())[0]:
        frames.append(found[1])
    capture.release()
    assert [len(changed_columns(frame)) > 0 for frame in frames] == [False, True, False, True]
    bench.write(video(bench), format="overlays", images=film, video=True)
    assert tree(bench.folder / "overlays") == before


def test_frames_that_are_not_in_the_file_are_told(bench, film):
    report = bench.write(video(bench, count=6), format="overlays", images=film)
    assert (report.written, report.dropped_count, report.images) == (2, 1, 4)
    assert {(note.type, note.count) for note in report.dropped} == {("bbox", 1), ("image", 2)}
