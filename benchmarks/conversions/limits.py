"""The physical limits: nobody converts anything, only the bytes are moved."""

from __future__ import annotations

from pathlib import Path

from benchmarks.conversions.registry import STEPS, Step, Work, step

_PICTURES = {".jpg"}


@step("limit coco")
def _(source: Path, out: Path) -> Work:
    """orjson reads the FastLabel JSON and writes the COCO document; nobody converts anything."""
    import orjson

    document = orjson.loads((_beside(source, "coco") / "annotations.json").read_bytes())

    def work() -> None:
        orjson.loads((source / "tasks.json").read_bytes())
        out.mkdir()
        (out / "annotations.json").write_bytes(orjson.dumps(document))

    return work


@step("paused coco")
def _(source: Path, out: Path) -> Work:
    """The same without Python's search for garbage, which takes most of orjson's time on many small objects."""
    import gc

    work = STEPS["limit coco"](source, out)

    def paused() -> None:
        gc.disable()
        work()
        gc.enable()

    return paused


@step("limit read coco")
def _(source: Path, out: Path) -> Work:
    """orjson reads the file."""
    import orjson

    return lambda: orjson.loads((source / "annotations.json").read_bytes())


@step("paused read coco")
def _(source: Path, out: Path) -> Work:
    """The same without Python's search for garbage."""
    import gc

    work = STEPS["limit read coco"](source, out)

    def paused() -> object:
        gc.disable()
        content = work()
        gc.enable()
        return content

    return paused


def _limit_files(format: str) -> Step:
    """The same files but for the pictures, their bytes at hand, written one by one."""

    def prepare(source: Path, out: Path) -> Work:
        place = _beside(source, format)
        found = [(path.relative_to(place), path.read_bytes()) for path in sorted(place.rglob("*")) if _counts(path)]

        def work() -> None:
            for folder in sorted({path.parent for path, _ in found}):
                (out / folder).mkdir(parents=True, exist_ok=True)
            for path, content in found:
                (out / path).write_bytes(content)

        return work

    return prepare


for _format in ("yolo", "pascal_voc", "labelme"):
    STEPS[f"limit {_format}"] = _limit_files(_format)


@step("limit masks")
def _(source: Path, out: Path) -> Work:
    """OpenCV fills the outlines (not exactly: it paints the borders too) and encodes a grey PNG."""
    import cv2
    import numpy as np
    import orjson

    tasks = orjson.loads((source / "tasks.json").read_bytes())
    prepared = [
        [
            [np.array(ring, np.int32).reshape(-1, 2) for region in row["points"] for ring in region]
            for row in task["annotations"]
        ]
        for task in tasks
    ]

    def work() -> None:
        out.mkdir()
        for number, (task, shapes) in enumerate(zip(tasks, prepared, strict=True)):
            image = np.zeros((task["height"], task["width"]), np.uint8)
            for index, rings in enumerate(shapes, start=1):
                cv2.fillPoly(image, rings, index)
            (out / f"{number:06}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())

    return work


def _counts(path: Path) -> bool:
    return path.suffix not in _PICTURES and path.is_file()


def _beside(source: Path, format: str) -> Path:
    """The dataset our own writer made of this input."""
    return source.parent / f"{source.name}-{format}"
