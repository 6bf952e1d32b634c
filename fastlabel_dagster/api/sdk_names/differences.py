"""Where our methods of the SDK's names differ from the SDK on purpose, all in one place: for readers and for the tests.

A test runs both sides before one recording server, method by method. What is not said here must be equal there, and
each entry here is shown by a test of its own. `docs/api.md` is made from this list.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SDK_VERSION: Final = "0.26.0"
"""The release of the official SDK that is the measure."""


@dataclass(frozen=True)
class Difference:
    """One intended difference.

    Attributes:
        key: names it in the tests.
        sdk: what the SDK does.
        ours: what this client does in its place.
        reason: why.
    """

    key: str
    sdk: str
    ours: str
    reason: str


DIFFERENCES: Final = (
    Difference(
        "arguments stay",
        "changes `annotations` and `attributes` in place: keys are removed, `content` is overwritten",
        "sends copies",
        "a list used for two tasks would carry the first one's name into the second",
    ),
    Difference(
        "ids are encoded",
        "joins ids into the path as they are, so `/`, `?` and `#` in one change the address",
        "percent-encodes each id whole",
        "an id must stay one part of the path",
    ),
    Difference(
        "empty ids",
        "sends `DELETE tasks/` for an empty id, and lets `..` climb",
        "refuses ids that are empty or a dot segment; nothing is sent",
        "they reach the address of the whole collection, or of something else",
    ),
    Difference(
        "empty names",
        "looks up an empty name, value or slug and returns whatever comes first",
        "refuses it; nothing is sent",
        "the API takes an empty filter as none, and the answer would be just anything",
    ),
    Difference(
        "unknown keywords",
        "drops a misspelt user keyword without a word, and `priority` where it takes none",
        "refuses it; nothing is sent",
        "the task would stay with nobody, and nobody would know",
    ),
    Difference(
        "frame order",
        "sends the frames of sequential tasks in the order of the directory",
        "sends them in ascending order of their names",
        "that is what FastLabel's documentation promises",
    ),
    Difference(
        "folder names",
        "takes `[ ]` in a folder's name for a pattern and finds it empty",
        "reads the folder that was named",
        "brackets are ordinary characters in names",
    ),
    Difference(
        "refused uploads",
        "ignores what the storage answers to an upload, and creates a task from a file that is not there",
        "raises, and creates nothing",
        "the loss would be noticed days later",
    ),
    Difference(
        "streamed uploads",
        "holds whole files in memory: a zip of 2 GB, a video as base64 as well",
        "reads them in pieces while they are sent; length and bytes on the wire are the same",
        "a step of a pipeline has little memory",
    ),
    Difference(
        "downloads",
        "saves error pages as objects, lets object names leave the folder, appends to `annotations.json`",
        "verifies status and length, refuses such names, replaces `annotations.json`",
        "names come from the users of a web tool, and a run may be repeated",
    ),
    Difference(
        "errors",
        "KeyError or TypeError when an error answer has no `message`; JSONDecodeError for web pages and empty answers",
        "always a `FastLabelError` with status, method, path and the server's words; `Invalid` is a ValueError too",
        "one `except` must be enough",
    ),
    Difference(
        "successes",
        "takes 201 and 202, and a GET's 204, for failures",
        "takes every 2xx for a success",
        "that is what HTTP says",
    ),
    Difference(
        "patience",
        "one try, no timeout, a new connection for each request",
        "timeouts, tries again where that does no harm, kept connections, 10,000 requests in 10 minutes",
        "servers pause, and a silent one must not hang a run for ever",
    ),
    Difference(
        "redirects",
        "follows redirects anywhere; a POST becomes a GET on the way",
        "follows those that keep the request as it is and stay on the same server",
        "the token goes to nobody else",
    ),
    Difference(
        "netrc",
        "lets an entry in ~/.netrc replace the token",
        "sends the token",
        "the token was given on purpose",
    ),
    Difference(
        "root logger",
        "sets up the root logger when it is imported",
        "leaves it alone",
        "logging belongs to the application",
    ),
    Difference(
        "base address",
        "needs the final slash of FASTLABEL_API_URL, or asks `/v1tasks`",
        "takes it with and without",
        "a missing slash is no reason to fail",
    ),
    Difference(
        "limit=None",
        "raises TypeError where a limit is checked",
        "leaves the limit out",
        "None means not given everywhere else",
    ),
    Difference(
        "nulls and enums",
        "raises TypeError for `keypoints: null`, `attributes: null` and `priority=Priority.high`",
        "sends them as they are meant",
        "task answers hold such nulls, and the signature promises the enum",
    ),
    Difference(
        "modules",
        "finds a wrong module out when its turn comes, after granting those before it",
        "checks all before anything is sent",
        "half-granted permissions are nobody's wish",
    ),
    Difference(
        "video containers",
        "asks OpenCV, so the answer for an AVI or MKV file named .mp4 depends on its build",
        "reads the MP4 file's own boxes; a file that is no MP4 is refused",
        "no OpenCV is needed to send a video, and mp4 means MP4",
    ),
    Difference(
        "words",
        "says w4a for m4a, 30 MB where 100 MB are allowed",
        "says what is checked",
        "an error message is followed",
    ),
    Difference(
        "object types",
        "raises a plain ValueError for an unknown dataset object type",
        "raises `Invalid`, which is a ValueError too",
        "one `except` must be enough",
    ),
    Difference(
        "JSON and headers",
        "puts blanks between JSON values; sends `Accept: */*`",
        "sends compact JSON of equal value; asks for `application/json`",
        "a third less to send for annotations, and proxies answer in JSON",
    ),
)
"""All of them."""

BETTER_WORDS: Final = {
    "Supported extensions are mp3, wav and w4a.": "Supported extensions are mp3, wav, m4a.",
    "Supported extensions are pcd only": "Supported extensions are pcd.",
    "Supported PCD size is under 30 MB.": "Supported PCD size is under 100 MB.",
}
"""The texts of refusals that differ: the SDK's, and ours."""

_ON_FILES: Final = "works on files and labels, not on the API; it belongs to the formats, which lie above the client"

_WITH_FORMATS: Final = (
    "asks for the project (`GET projects`) and writes files; it comes with the formats, which lie above the client"
)
NOT_HERE: Final = {
    "convert_coco_to_fastlabel": _ON_FILES,
    "convert_labelme_to_fastlabel": _ON_FILES,
    "convert_pascalvoc_to_fastlabel": _ON_FILES,
    "convert_yolo_to_fastlabel": _ON_FILES,
    "export_coco": _WITH_FORMATS,
    "export_image_with_annotations": _ON_FILES,
    "export_instance_segmentation": _ON_FILES,
    "export_labelme": _ON_FILES,
    "export_pascalvoc": _WITH_FORMATS,
    "export_semantic_segmentation": _ON_FILES,
    "export_yolo": _WITH_FORMATS,
    "mask_to_fastlabel_segmentation_points": _ON_FILES,
}
"""The SDK's public methods that this face does not have, and why."""
