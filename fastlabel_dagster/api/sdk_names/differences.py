"""Where our methods of the SDK's names differ from the SDK on purpose, all in one place: for readers and for the tests.

A test runs both sides before one recording server, method by method. What is not said here must be equal there, and
each entry here is shown by a test of its own. `docs/api.md` is made from these lists.
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
"""Those of requests and answers."""

BETTER_WORDS: Final = {
    "Supported extensions are mp3, wav and w4a.": "Supported extensions are mp3, wav, m4a.",
    "Supported extensions are pcd only": "Supported extensions are pcd.",
    "Supported PCD size is under 30 MB.": "Supported PCD size is under 100 MB.",
}
"""The texts of refusals that differ: the SDK's, and ours."""

ON_FILES: Final = (
    Difference(
        "answers",
        "`export_*` answer None; what was left out is not said",
        "a report: how many annotations were written, left out and changed, by reason; `convert_*` log the same",
        "losses are to be seen before a model is trained on the rest",
    ),
    Difference(
        "projects that are not there",
        "raises `FastLabelInvalidException`",
        "raises `NotFound`, as for everything else that is not there",
        "one error means one thing",
    ),
    Difference(
        "names",
        "lets a task's name lead out of the folder; `a.jpg` and `a.png` are one `a.txt`",
        "no name leads out of the folder, and tasks do not share a file: the second is called differently",
        "names come from the users of a web tool",
    ),
    Difference(
        "places",
        "`output_file_name` may be a path out of `output_dir`",
        "refuses a file name with a folder in it",
        "`output_dir` says where",
    ),
    Difference(
        "tasks stay",
        "`export_image_with_annotations` appends the first point to each polygon of the caller's tasks",
        "the tasks stay as they are",
        "the next export would have it twice",
    ),
    Difference(
        "classes of COCO",
        "all categories have the last annotation's colour; objects whose class is not in `annotations` are left out",
        "gives each its own colour; adds the missing class behind the others",
        "an object without its class is lost without a word",
    ),
    Difference(
        "turned boxes",
        "writes and paints them as if they were not turned",
        "COCO: the outline as it is, the box around it; YOLO, VOC: the box around it; masks, drawings: turned",
        "the object lies there and nowhere else",
    ),
    Difference(
        "holes and regions",
        "fills holes; labelme has the first region only, YOLO glues all rings to one line with `classes`",
        "COCO: run lengths and the area without holes; labelme: a mask, or a group of polygons; YOLO: a line each",
        "pixels of a hole belong to something else",
    ),
    Difference(
        "small boxes",
        "leaves out boxes whose corners lie in one row or column of pixels",
        "writes them",
        "half a pixel is small, and not nothing",
    ),
    Difference(
        "poses of COCO",
        "without `annotations` the keypoints are missing; the box of a pose is empty",
        "keypoints are always there, with the box around them",
        "pycocotools divides by its area",
    ),
    Difference(
        "types",
        "COCO: leaves circles and single keypoints out; VOC: areas and circles",
        "COCO: circles are polygons, keypoints poses of one point; VOC: the box around it",
        "there is a place for them",
    ),
    Difference(
        "order",
        "sorts the objects of an image by class and area (COCO) or as text (YOLO), images in the order of the tasks",
        "keeps the order of the annotations; images are in the order of their names",
        "so numbers do not change when the API lists tasks in another order",
    ),
    Difference(
        "outlines of COCO",
        "a box has five corners, the first one twice; indented JSON",
        "four corners, the polygon is closed by itself; a line of JSON for each object",
        "that is COCO's way, and a third of the size",
    ),
    Difference(
        "class numbers of YOLO",
        "with `classes` the numbers follow their order, and `classes.txt` is sorted: they disagree",
        "`classes.txt` has the order that was given",
        "a dog must not be called a bird",
    ),
    Difference(
        "numbers of YOLO",
        "cuts off after 7 digits, writes 1e-07, goes beyond 0 and 1",
        "rounds to 9 digits, cuts shapes at the edge of the image and says so",
        "that is what training programs take",
    ),
    Difference(
        "boxes among outlines",
        "YOLO with `classes`: boxes and outlines of one project are lines of two kinds in one file",
        "all are outlines where there is one: a box has four corners",
        "training programs take a file for the one or the other",
    ),
    Difference(
        "sizes",
        "a task of width 0 raises ZeroDivisionError, or is left out without a word (YOLO)",
        "left out and reported",
        "one bad task must not cost the others",
    ),
    Difference(
        "attributes",
        "annotations without `attributes` raise KeyError (VOC); labelme has none",
        "none means none; labelme: in `flags` and `attributes`",
        "API answers may lack them",
    ),
    Difference(
        "pixels of VOC",
        "rounds corners down",
        "rounds to the nearest pixel",
        "down makes boxes half a pixel off on average",
    ),
    Difference(
        "pictures of labelme",
        "`imagePath` is the whole name also in a file that lies in the folder of that name",
        "`imagePath` is seen from the folder of the file",
        "there labelme looks for the picture",
    ),
    Difference(
        "overlaps",
        "adds the numbers of overlapping segmentations by OR: 1 and 2 become 3, an object that does not exist",
        "later annotations cover earlier ones, whatever their types",
        "each pixel has one owner",
    ),
    Difference(
        "many objects",
        "numbers above 255 become 255; the palette ends at 57",
        "16 bits where 8 do not suffice; colours of our own behind the palette",
        "each object has its number",
    ),
    Difference(
        "unknown classes",
        "a class that is not in `classes` raises ValueError (semantic masks)",
        "left out and reported",
        "as YOLO does it",
    ),
    Difference(
        "COCO read",
        "boxes come back as polygons; files without outlines, run lengths or with two parts raise, or lose the rest",
        "boxes are boxes, run lengths are traced, all parts are kept; `segmentation` is a type too",
        "so files of others can be read, and ours come back",
    ),
    Difference(
        "files read",
        "one bad or unusual line, object or file raises KeyError, ValueError or TypeError",
        "is left out and logged; the rest is read",
        "a dataset is not worthless for one line",
    ),
    Difference(
        "nothing to read",
        "a folder that is not there, or has no such files, answers `{}`",
        "raises `FileNotFoundError`",
        "a wrong path is not an empty dataset",
    ),
    Difference(
        "names of pictures",
        "takes the folder `annotations` for a part of the pictures' names",
        "finds the picture, or names it as if it lay in a folder of pictures",
        "the name is what a task is made with",
    ),
    Difference(
        "VOC read",
        "takes the numbers of a box in the order of the file",
        "takes them by their names; fractions, too",
        "XML has no order of names here",
    ),
    Difference(
        "attributes read",
        "leaves out what is said of an object beside its shape: VOC's `truncated`, `occluded`, `difficult` and `pose`, "
        "labelme's flags and descriptions, COCO's `iscrowd`",
        "are `attributes` of those keys; the API takes them where the class declares them",
        'who declares them has them; `one.pop("attributes")` is all it takes to be without',
    ),
    Difference(
        "labelme read",
        "takes corners as they come; circles, masks and line strips have type None",
        "the upper left corner first; circles, masks and line strips are read as what they are",
        "no type can be sent",
    ),
    Difference(
        "areas of YOLO read",
        "rounds outlines to whole pixels, leaves them open, and takes them for `segmentation` only",
        "keeps fractions and closes the ring; `image_segmentation` is taken too",
        "FastLabel's segmentations are closed",
    ),
    Difference(
        "corners of masks",
        "pixels that touch at a corner only become one outline that crosses itself, and other pixels",
        "become regions of their own, with exactly the pixels of the mask",
        "the points must give the mask again",
    ),
    Difference(
        "drawings of segmentations",
        "makes the picture see-through there (PNG)",
        "keeps the picture",
        "it is a picture with annotations, not a mask",
    ),
)
"""Those of the methods that write and read files. What is right in the SDK's files is equal in ours."""
