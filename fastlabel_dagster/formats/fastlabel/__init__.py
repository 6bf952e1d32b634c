"""FastLabel's own JSON on disk: tasks as the API answers them, and their annotation classes.

Reading takes what people have lying around: a dumped answer (a ``.json`` file with a list of tasks), a task a line
(``.jsonl``), a folder of such files, with or without the classes. Memory is bounded: a gigabyte of JSON is read a piece
at a time, and its tables wait in a temporary file.

Writing loses nothing: what was read from FastLabel comes out the same, and what was read from another format comes out
as ``create_image_task(annotations=…)`` takes it.
"""

from fastlabel_dagster.formats.fastlabel.layout import CLASSES_FILE
from fastlabel_dagster.formats.fastlabel.read import read_fastlabel
from fastlabel_dagster.formats.fastlabel.write import write_fastlabel
from fastlabel_dagster.formats.registry import Format

FORMAT = Format(
    name="fastlabel",
    summary="FastLabel's own JSON: tasks and classes as the API answers them, of every type of project",
    index=CLASSES_FILE,
    write=write_fastlabel,
    read=read_fastlabel,
    options={"layout": "jsonl"},
    per_picture=False,
)

__all__ = ["FORMAT", "read_fastlabel", "write_fastlabel"]
