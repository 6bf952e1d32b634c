"""What the files of a folder of FastLabel JSON are called."""

from __future__ import annotations

#: The annotation classes, as the API lists them.
CLASSES_FILE = "classes.json"
#: What else a file of classes is called: the SDK's ``get_annotations`` gave it the name.
CLASS_FILES = (CLASSES_FILE, "annotations.json")
#: Task id -> file, of the pictures that are not called like their task.
PICTURES_FILE = "pictures.json"
#: The folder of the pictures.
PICTURES = "images"
#: Without dot; also the name of the option.
LAYOUTS = ("jsonl", "json")
#: A file that ends so holds tasks...
TASK_SUFFIXES = (".json", ".jsonl", ".ndjson")
#: ...unless it is one of these.
NOT_TASKS = frozenset({*CLASS_FILES, PICTURES_FILE, "report.json"})
