"""Memory of large uploads: a 2 GB zip to its signed address, and a 250 MB video as base64 in JSON.

    python -m benchmarks.upload

The sandbox runs in a process of its own, each upload in another. The figure is the largest resident memory above the
moment before the upload. The files are made of holes, so that the disk need not hold them twice.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path

from benchmarks.measure import in_a_process, peak_mb, resident_mb, sandbox_in_a_process

MB = 1024 * 1024
ZIP_MB, VIDEO_MB = 2000, 250


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--measure", nargs=4, metavar=("TOOL", "KIND", "URL", "FILE"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure:
        print(json.dumps(measure(*given.measure)))
        return
    from fastlabel_dagster.sandbox.state import SandboxState

    with tempfile.TemporaryDirectory() as folder:
        files = make_files(Path(folder))
        state = SandboxState(Path(folder) / "sandbox")
        state.create_project("scans", type="dicom_bbox")
        state.create_project("films", type="video_bbox")
        state.close()
        for kind, words in (("zip", f"{ZIP_MB:,} MB zip"), ("video", f"{VIDEO_MB} MB video")):
            for tool, name in (("ours", "fastlabel-dagster"), ("sdk", "fastlabel SDK")):
                with sandbox_in_a_process(Path(folder) / "sandbox") as (url, _):
                    seen = in_a_process("benchmarks.upload", "--measure", tool, kind, url, files[kind])
                print(f"  {words:13} {name:18} {seen['seconds']:6.1f} s   memory +{seen['grown']:,.0f} MB at most")


def make_files(folder: Path) -> dict[str, Path]:
    """A zip and a video of the largest sizes the API takes: small real ones, with a long hole at the end."""
    import zipfile

    import cv2
    import numpy as np

    zipped, film = folder / "scan.zip", folder / "film.mp4"
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("1.dcm", b"\0" * 128 + b"DICM")
    # OpenCV's wheels cannot write H.264, which the API asks for; the name of the codec in the header is what counts
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"mp4v"), 5.0, (64, 48))
    for _ in range(5):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    film.write_bytes(film.read_bytes().replace(b"mp4v", b"avc1").replace(b"esds", b"free"))
    os.truncate(zipped, ZIP_MB * MB)
    os.truncate(film, VIDEO_MB * MB)
    return {"zip": zipped, "video": film}


def measure(tool: str, kind: str, url: str, file: str) -> dict[str, float]:
    """Upload one file; seconds, and MB at most above the moment before."""
    os.environ["FASTLABEL_API_URL"] = url
    name = f"{tool}.mp4"
    if tool == "ours":
        from fastlabel_dagster.api import FastLabelClient

        client = FastLabelClient("sandbox-token", url, timeout=(5, 600))
        client.projects.list()
        before, start = resident_mb(), time.perf_counter()
        if kind == "zip":
            client.dicom_tasks.create("scans", file)
        else:
            client.video_tasks.create("films", name, file)
    else:
        import fastlabel

        sdk = fastlabel.Client(access_token="sandbox-token")
        sdk.get_projects()
        before, start = resident_mb(), time.perf_counter()
        if kind == "zip":
            sdk.create_dicom_task(project="scans", file_path=file)
        else:
            sdk.create_video_task(project="films", name=name, file_path=file)
    return {"seconds": time.perf_counter() - start, "grown": peak_mb() - before}


if __name__ == "__main__":
    main()
