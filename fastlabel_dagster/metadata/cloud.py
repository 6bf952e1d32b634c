"""Points of a point cloud file (PCD), as seen from above."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

_HEADER = 4096
_KINDS = {"F": "f", "I": "i", "U": "u"}


def points_from_above(data: bytes) -> NDArray[np.float64]:
    """float64[n, 2]: x and y of the points of a PCD file (`DATA ascii` or `DATA binary`) that are numbers.

    Source of the format: https://pointclouds.org/documentation/tutorials/pcd_file_format.html

    Raises:
        ValueError: no PCD file, one that is compressed or cut off, or one without x and y.
    """
    try:
        found = _points(data, *_header(data))
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError(f"a PCD file whose header is not as it should be: {error}") from error
    return found[np.isfinite(found).all(axis=1)]


def _points(data: bytes, header: dict[str, list[str]], begin: int) -> NDArray[np.float64]:
    fields = [name.lower() for name in header.get("FIELDS", [])]
    sizes, kinds = header.get("SIZE", []), header.get("TYPE", [])
    counts = header.get("COUNT", ["1"] * len(fields))
    if "x" not in fields or "y" not in fields or not len(fields) == len(sizes) == len(kinds) == len(counts):
        raise ValueError("no PCD file with x and y")
    wide = [int(count) for count in counts]
    if header["DATA"] == ["binary"]:
        layout = np.dtype(
            [
                (f"{place}", f"<{_KINDS[kind]}{size}", (count,))
                for place, (kind, size, count) in enumerate(zip(kinds, sizes, wide, strict=True))
            ]
        )
        rows = np.frombuffer(data, layout, count=int(header["POINTS"][0]), offset=begin)
        columns = [rows[f"{fields.index(axis)}"][:, 0] for axis in ("x", "y")]
        return np.stack(columns, axis=1).astype(np.float64)
    if header["DATA"] == ["ascii"]:
        places = [sum(wide[: fields.index(axis)]) for axis in ("x", "y")]
        if not data[begin:].strip():
            return np.empty((0, 2))  # NumPy would warn of it, and repeat all lines
        lines = io.StringIO(data[begin:].decode("ascii"))
        return np.loadtxt(lines, np.float64, comments=None, usecols=places, ndmin=2)
    raise ValueError(f"points stored as {' '.join(header['DATA'])}")


def _header(data: bytes) -> tuple[dict[str, list[str]], int]:
    """The words of each line of the header, and where the points begin."""
    found: dict[str, list[str]] = {}
    begin = 0
    while "DATA" not in found:
        end = data.find(b"\n", begin, _HEADER)
        if end < 0:
            raise ValueError("no PCD file")
        words = data[begin:end].decode("ascii", "replace").split()
        begin = end + 1
        if words and not words[0].startswith("#"):
            found[words[0].upper()] = words[1:]
    return found, begin
