"""Single pictures out of an image folder: of tasks, of contents of tasks, and of frames of videos."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fastlabel_dagster.labels.picture_plan import is_name_of_video
from fastlabel_dagster.labels.single_pictures import video_of
from fastlabel_dagster.metadata.pictures import TooLarge

if TYPE_CHECKING:
    from fastlabel_dagster.formats.sources import Picture
    from fastlabel_dagster.store import ImageFolder

#: Frames are decoded from the first on, so those further in than this, a minute of most videos, are not looked at.
FURTHEST_FRAME = 1_800
#: A video that does not lie on the local disk is brought there up to this many bytes.
_LARGEST_VIDEO = 256 * 1024 * 1024
#: A file of more bytes than this is not brought into memory to show a small part of it.
_LARGEST_FILE = 64 * 1024 * 1024


class FolderPictures:
    """Reads pictures of an image folder, whose index is read when the first one is wanted.

    Called with the id of a single picture (see :mod:`fastlabel_dagster.labels.single_pictures`): that of a task,
    ``<task id>/<content>``, or ``<task id>#<frame>``, and its name. The answer is a picture file, None where there is
    none: not downloaded, no picture, or a frame beyond :data:`FURTHEST_FRAME`.

    Raises:
        TooLarge: the file has too many bytes to be read for a preview.
        ValueError: it is a video that cannot be read.
    """

    def __init__(self, images: ImageFolder) -> None:
        self._images = images
        self._held: dict[str, Picture] | None = None
        self._expected: dict[str, set[int]] = {}
        self._decoded: dict[str, dict[int, bytes]] = {}

    @property
    def held(self) -> dict[str, Picture]:
        """The file of each task or content."""
        if self._held is None:
            from fastlabel_dagster.formats.sources import pictures_of_folder

            self._held = pictures_of_folder(self._images).held
        return self._held

    def __call__(self, task_id: str, name: str) -> bytes | None:
        held = self.held.get(task_id)
        if held is None:
            of_video = video_of(task_id)
            return None if of_video is None else self._frame(*of_video)
        if is_name_of_video(held.path):
            return None
        if held.size > _LARGEST_FILE:
            raise TooLarge(f"{held.size:,} bytes are too many to be read for a preview")
        return held.store.read_bytes(held.path)

    def expect(self, ids: Iterable[str]) -> None:
        """Frames that will be asked for one by one: those of a video are decoded in one go when the first is, for to
        open it again is to decode it again, and elsewhere than on the local disk to fetch it again."""
        self._expected, self._decoded = {}, {}
        for found in map(video_of, ids):
            if found is not None:
                self._expected.setdefault(found[0], set()).add(found[1])

    def _frame(self, task_id: str, number: int) -> bytes | None:
        if number not in self._expected.get(task_id, ()):
            return self.frames(task_id, [number]).get(number)
        if task_id not in self._decoded:
            self._decoded[task_id] = {}  # of a video that cannot be read there is nothing, and it is not tried again
            self._decoded[task_id] = self.frames(task_id, sorted(self._expected[task_id]))
        return self._decoded[task_id].get(number)

    def frames(self, task_id: str, numbers: Sequence[int]) -> dict[int, bytes]:
        """These frames (from 1) of a video as JPEG files, decoded in one go; those that cannot be had are missing.

        Raises:
            VideoError: what lies there is no video that can be read.
        """
        from fastlabel_dagster.formats.frames import encode, open_video

        video = self.held.get(task_id)
        wanted = sorted({number for number in numbers if 1 <= number <= FURTHEST_FRAME})
        if video is None or not wanted or (not video.store.is_local and video.size > _LARGEST_VIDEO):
            return {}
        found: dict[int, bytes] = {}
        with open_video(video) as film:
            for number in wanted:
                pixels = film.frame(number)
                if pixels is None:
                    break
                found[number] = encode(pixels, ".jpg")
        return found
