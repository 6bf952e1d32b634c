"""The formats by name. A format is one module with a ``FORMAT``; assets, ops, the command line and components find it
here.

    >>> from fastlabel_dagster.formats import registry
    >>> registry.find("yolo").options["task"]
    'detect'

A format of your own: make a :class:`Format` and hand it to :func:`register`; from then on ``write`` and ``read`` know
its name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias

from fastlabel_dagster.formats.options import SHARED_OPTIONS, WRITER_OPTIONS, check_values, unknown_option

if TYPE_CHECKING:
    from fastlabel_dagster.formats.file_kinds import FileKind
    from fastlabel_dagster.formats.written import Written
    from fastlabel_dagster.labels.tables import Labels

#: ``write(labels, folder, images, tally, **options)`` writes labels into a folder. ``images`` (a ``PictureSource``, or
#: None) are pictures to put beside them. Every annotation that goes in is told to the tally as written or as dropped.
Writer: TypeAlias = "Callable[..., Written]"
#: ``read(source, told, **options)`` reads a dataset (its folder, or its index file) as labels. What it leaves out or
#: changes is told to ``told``, and at the end how many tasks and annotations there are.
Reader: TypeAlias = "Callable[..., Labels]"


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: what people call it by.
        summary: what it is, in a few words.
        index: the file written last, from which readers start (a reader of S3 that finds it finds all of it).
        write: None for a format that is only read.
        read: None for a format that is only written.
        options: of the writer, with their defaults.
        read_options: of the reader, with their defaults.
        per_picture: it describes single pictures, so that videos and tasks of several pictures are taken apart first.
        files: what the files are that go along with it; None: pictures where it is ``per_picture``, else any.
        rules: raised when the same labels would be written differently, so that a folder of the old rules is not kept.
        derived: patterns of files that tools make of an export: they go with it.
    """

    name: str
    summary: str
    index: str
    write: Writer | None = None
    read: Reader | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    read_options: Mapping[str, Any] = field(default_factory=dict)
    per_picture: bool = True
    files: FileKind | None = None
    rules: int = 1
    derived: tuple[str, ...] = ()


_HERE = "fastlabel_dagster.formats"
#: The module of each format that comes with this package; a module is imported when its format is used.
_MODULES: dict[str, str] = {
    "coco": f"{_HERE}.coco",
    "coco_parquet": f"{_HERE}.coco.parquet",
    "coco_panoptic": f"{_HERE}.coco.panoptic",
    "yolo": f"{_HERE}.yolo",
    "cvat": f"{_HERE}.cvat",
    "kitti": f"{_HERE}.kitti",
    "dota": f"{_HERE}.dota",
    "pascal_voc": f"{_HERE}.pascal_voc",
    "fastlabel": f"{_HERE}.fastlabel",
    "labelme": f"{_HERE}.labelme",
    "semantic_masks": f"{_HERE}.masks.semantic",
    "instance_masks": f"{_HERE}.masks.instance",
    "overlays": f"{_HERE}.overlays",
    "parquet": f"{_HERE}.parquet",
    "spacy": f"{_HERE}.spans.spacy",
    "hf_imagefolder": f"{_HERE}.huggingface.imagefolder",
    "hf_parquet": f"{_HERE}.huggingface.parquet",
    "conll": f"{_HERE}.spans.conll",
    "rttm": f"{_HERE}.sound.rttm",
    "audacity": f"{_HERE}.sound.audacity",
    "lerobot": f"{_HERE}.lerobot",
}
#: Those of them that are not written.
_ONLY_READ = ("lerobot",)
_REGISTERED: dict[str, Format] = {}


def names() -> tuple[str, ...]:
    """All names :func:`find` knows."""
    return (*_MODULES, *_REGISTERED)


def written_names() -> tuple[str, ...]:
    """The names of formats that can be written; known without loading any of them."""
    own = (name for name, format in _REGISTERED.items() if format.write is not None)
    return (*(name for name in _MODULES if name not in _ONLY_READ), *own)


def find(name: str) -> Format:
    """The format of this name. Raises ValueError, naming those there are, for an unknown one."""
    if name in _REGISTERED:
        return _REGISTERED[name]
    if name not in _MODULES:
        raise ValueError(f"unknown format {name!r}; known are {', '.join(names())}")
    found: Format = import_module(_MODULES[name]).FORMAT
    return found


def register(format: Format) -> None:
    """Make a format of your own known. Raises ValueError when the name is taken."""
    if format.name in names():
        raise ValueError(f"there is a format {format.name!r} already")
    _REGISTERED[format.name] = format


def is_registered(name: str) -> bool:
    """Whether a format is one of your own, made known by :func:`register`."""
    return name in _REGISTERED


def check_export(name: str, given: Mapping[str, Any]) -> None:
    """Refuse what :func:`check_options` refuses, where ``given`` holds settings of ``formats.write`` itself, such as
    ``archive``, as well. Raises ValueError."""
    shared = {option: value for option, value in given.items() if option in SHARED_OPTIONS}
    check_values(SHARED_OPTIONS, shared, f"an export as {name!r}")
    check_options(name, {option: value for option, value in given.items() if option not in shared})


def check_options(name: str, given: Mapping[str, Any]) -> None:
    """Refuse options the writer of a format would refuse, without loading that writer where the format comes with this
    package. Raises ValueError for an unknown format, option or value; a value may be fine by itself and still not fit
    the labels (a class nobody has), which is told when they are written."""
    of = f"the format {name!r}"
    if name in WRITER_OPTIONS and name not in _REGISTERED:
        check_values(WRITER_OPTIONS[name], given, of)
    else:
        settings(find(name).options, given, of)


def settings(known: Mapping[str, Any], given: Mapping[str, Any], of: str) -> dict[str, Any]:
    """``known`` options with what is ``given``. Raises ValueError for one that is not known, and for one
    that is not the switch, or the whole number, its default is."""
    for option in given:
        if option not in known:
            raise unknown_option(option, known, of)
        default, value = known[option], given[option]
        # "no" is true for Python, and True is 1: neither is what was meant.
        if isinstance(default, bool) and not isinstance(value, bool):
            raise ValueError(f"the option {option!r} of {of} is true or false, not {value!r}")
        if type(default) is int and type(value) is not int:
            raise ValueError(f"the option {option!r} of {of} is a whole number, not {value!r}")
    return {**known, **given}
