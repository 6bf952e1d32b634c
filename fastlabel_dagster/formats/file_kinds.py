"""What a file of a task is, by the ending of its name, and which files a format has a place for.

A project of texts can be written as COCO (there is just nothing to draw), but its texts are no pictures: they are not
copied to where pictures lie. A file whose ending says nothing is given the benefit of the doubt.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal, TypeAlias

from fastlabel_dagster.formats.image_size import IMAGE_SUFFIXES

#: What the files are that go along with a format; frames of a video are pictures, and a video has sound.
FileKind: TypeAlias = Literal["picture", "sound", "text", "any"]
AUDIO_ENDINGS = (".wav", ".mp3", ".flac", ".m4a", ".ogg", ".opus", ".aac", ".wma", ".aif", ".aiff")
_VIDEO_ENDINGS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv")
_TEXT_ENDINGS = (".txt", ".csv", ".tsv", ".md", ".html", ".htm")
_CLOUD_ENDINGS = (".pcd", ".ply", ".las", ".laz", ".xyz")
_KINDS = {
    **dict.fromkeys(IMAGE_SUFFIXES, "picture"),
    **dict.fromkeys(AUDIO_ENDINGS, "sound"),
    **dict.fromkeys(_VIDEO_ENDINGS, "video"),
    **dict.fromkeys(_TEXT_ENDINGS, "text"),
    **dict.fromkeys(_CLOUD_ENDINGS, "cloud"),
}
_FITTING = {"picture": ("picture", "video"), "sound": ("sound", "video"), "text": ("text",)}
#: What is said of a file that is something else.
STRANGE = {
    "picture": "its file is not a picture",
    "sound": "its file is not a recording",
    "text": "its file is not a text",
}


def fits(file: str, wanted: FileKind) -> bool:
    """Whether a file of this name (or path) may be what is ``wanted``.

    >>> fits("talk.WAV", "picture"), fits("photo.jpg", "picture"), fits("no ending", "picture")
    (False, True, True)
    """
    kind = _KINDS.get(PurePosixPath(file).suffix.lower())
    return wanted == "any" or kind is None or kind in _FITTING[wanted]
