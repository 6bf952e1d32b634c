"""Writes docs/api.md: every method of the official SDK, our two spellings of it, its requests, its comparison.

    python scripts/api_page.py            write the page
    python scripts/api_page.py --check    only say whether it is up to date

Nothing on the page is written by hand twice: methods come from the SDK by introspection, requests from calling our
client, limits from the table of modalities, differences from the list beside the SDK's names, the number of compared
calls from the tests. It needs the development dependencies.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from api_names import FILE_METHODS, SECTIONS, modality_methods
from api_routes import lay_out_files, routes

from fastlabel_dagster.api import FastLabelClient
from fastlabel_dagster.api.groups.group import Group
from fastlabel_dagster.api.modalities import MODALITIES
from fastlabel_dagster.api.sdk_names.differences import DIFFERENCES, ON_FILES, SDK_VERSION, Difference
from fastlabel_dagster.api.wire import MEGABYTE, USER_KEYWORDS

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "api.md"
ADDRESS = "http://api.example/v1"

INTRODUCTION = """\
# The API, twice

<!-- Written by scripts/api_page.py. Change that, or what it reads, and run it again. -->

`FastLabelClient` has two faces. **Groups** are for people: `client.video_tasks.create(...)`,
`client.training_jobs.submit(...)`, and `.iter()` wherever the API pages. What is None stays as it is there, and an
empty list is sent, and clears. **The names of the official SDK** are for code that exists:
`client.create_video_task(...)` takes the same arguments, has the same defaults and sends the same request. `help()` and
the editor show real signatures for both.

The measure is the official SDK {sdk}. A test finds its public methods by introspection, calls each one and ours before
one recording server, and compares method, path, query, body and upload form: with as few arguments as possible, with
all, with falsy ones, with None, with odd names, at and beyond the limits. What differs on purpose is listed at the end
of this page, and nothing else may.

## Modalities

The sizes are checked before anything is read or sent; exactly the limit passes, and 1 MB is 1024² bytes. All lists take
`status`, `external_status`, `tags`, `task_name`, `offset` and `limit`; creating and updating also takes the people:
{people} and `workflow_1_user` to `workflow_6_user`.
"""

METHODS = """\
Files travel as base64 in the JSON of the request, which is what the API asks for; zips are uploaded to a signed
address. Both are read from disk piece by piece while they are sent. On the groups, a single file can be given as bytes
(`content=`) as well.

## Methods

Where a path holds braces, that argument stands there, percent-encoded. “Compared calls” says how many calls of the
method the tests compare with the SDK's.
"""

FILES = """\
### On files

These write the files of an export, or make annotations of such files. They are the formats of this package in the
SDK's places: `docs/formats.md` says what each format carries. Exports answer a report where the SDK answers None,
`convert_*` log what could not be read. Tests write and read generated tasks with both and compare the files: numbers
and names of COCO, YOLO, VOC and labelme, pixels and palettes of masks, frames of videos. What differs on purpose is
listed below under “Intended differences on files”.
"""

ASKED_AGAIN = """\
## How patient, and how fast

```python
from fastlabel_dagster.api import FastLabelClient, RequestBudget, RetryPolicy

client = FastLabelClient(
    timeout=(5, 60),  # seconds for a connection, and for each part of an answer
    retry=RetryPolicy(attempts=5),
    budget=RequestBudget(requests=10_000, shared="/var/tmp/fastlabel-budget"),  # in 10 minutes
)
```

These are the defaults but for `shared`: a folder on a local disk through which all processes of a machine keep one
budget. Without it each process has its own. `client.statistics` counts requests, retries, waiting and bytes.

## What is asked again

GET, PUT and DELETE are repeated after a broken connection, an answer that cannot be read, 429, 502, 503 and 504 (GET
after 500 as well), with growing pauses and as the server's `Retry-After` says (`RetryPolicy`). What makes something is
repeated only when it certainly was not processed: no connection was made, or the answer was 429. A few POSTs do no harm
when they are processed twice and are repeated like a PUT: putting tags on tasks and taking them off
(`tasks/tags/add`, `tasks/tags/remove`), deleting tags (`tags/delete/multi`), and granting a user modules
(`function-resource-permissions/{module}/internal-users`).

On the groups, a lost answer to making a task, project, dataset, dataset object, annotation class or user is settled by
looking it up under its name before sending again. What is found is taken for what was made unless it is of another
type (projects) or its `createdAt` lies before the first request, by the clock in the server's `Date` headers. Where the
server shows no such date, something that had the name before cannot be told from what the lost request made. When it
stays open, because the look-up fails too for instance, the error is that of the lost answer, says that the thing may
have been made, and has what failed afterwards as its cause.

A lost answer to starting a job is settled by comparing the jobs there are with those there were: for about a minute
after a timeout, a broken connection or a 504, for 6 seconds after another 5xx, for as long as `Retry-After` says
(`SubmissionPolicy`). A new job that fits is the one. When there are new jobs and none fits, or several do, or they
cannot be listed, `UnclearSubmission` names the candidates and nothing is sent again. A job of which the server tells
the id only, and which cannot be read yet, comes back as `{"id": …, "trainingJobId": …, "status": "unknown"}`
(`evaluationJobId`, `autoAnnotationJobId`), which `wait` takes like any other.

Imports, comments and copies of projects have no name to be found by; their lost answers are errors. The SDK's names
leave all of this to the caller.
"""


def parity_cases() -> dict[str, int]:
    """How many calls of each method the tests compare with the SDK's."""
    counts: dict[str, int] = {}
    for name, table in (("test_parity", "ALL"), ("test_sdk_names", "CASES"), ("test_lerobot", "CASES")):
        for case in getattr(load(ROOT / "tests" / "api" / f"{name}.py"), table):
            counts[case[0]] = counts.get(case[0], 0) + 1
    return counts


def load(path: Path) -> ModuleType:
    """A Python file as a module."""
    spec = importlib.util.spec_from_file_location(f"api_page_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def table_of_modalities() -> list[str]:
    """What is taken, and how much of it."""
    rows = [
        "| Group | Path | A new task is made from | Page (the SDK's default) | Set on create | Set on update |",
        "|---|---|---|---|---|---|",
    ]
    for one in MODALITIES:
        made = {"nothing": "nothing; its content is imported", "not creatable": "cannot be made by the API"}.get(
            one.source
        )
        if one.file is not None:
            endings = ", ".join(one.file.extensions or ())
            assert one.file.max_bytes is not None
            size = f"{one.file.max_bytes // MEGABYTE:,} MB"
            where = f"a folder of at most {one.most_files} files: " if one.source == "folder" else ""
            made = f"{where}{endings}, at most {size}{', H.264' if one.file.h264 else ''}"
        beyond = "" if one.checked_by_sdk else ", not checked by the SDK"
        page = f"{one.page_maximum:,} ({one.page_default}{beyond})"
        create, update = (", ".join(f"`{field}`" for field in fields) or "–" for fields in (one.create, one.update))
        rows.append(f"| `client.{one.group}` | `{one.path}` | {made} | {page} | {create} | {update} |")
    return rows


def table_of_methods(methods: dict[str, str], cases: dict[str, int], folder: Path) -> list[str]:
    """One row per method of the SDK."""
    rows = ["| SDK, and ours | Ours on a group | Requests | Compared calls |", "|---|---|---|---|"]
    for name, ours in methods.items():
        requests_made = " → ".join(f"`{route}`" for route in routes(name, folder))
        rows.append(f"| `{name}` | `{ours}` | {requests_made} | {cases[name]} |")
    return rows


def table_of_file_methods() -> list[str]:
    """One row per method that works on files."""
    rows = ["| SDK, and ours | Format | Requests |", "|---|---|---|"]
    for name, format in FILE_METHODS.items():
        asks_for_project = "project" in inspect.signature(getattr(FastLabelClient, name)).parameters
        asked = "`GET projects`; `GET` of each video, without the token" if asks_for_project else "–"
        rows.append(f"| `{name}` | {format} | {asked} |")
    return rows


def table_of(differences: Sequence[Difference]) -> list[str]:
    """One row per difference."""
    return [
        "| | The SDK | This client | Why |",
        "|---|---|---|---|",
        *(f"| {one.key} | {one.sdk} | {one.ours} | {one.reason} |" for one in differences),
        "",
    ]


def only_on_groups(spelled: set[str]) -> list[str]:
    """Methods of the groups that the SDK has no name for."""
    rows = []
    with FastLabelClient("token", ADDRESS, budget=None) as client:
        for group_name, group in vars(client).items():
            if not isinstance(group, Group):
                continue
            extra = [
                f"`{name}`"
                for name, _ in inspect.getmembers(group, inspect.ismethod)
                if not name.startswith("_") and f"{group_name}.{name}" not in spelled
            ]
            if extra:
                rows.append(f"- `client.{group_name}`: {', '.join(extra)}")
    return rows


def page() -> str:
    """The text of docs/api.md."""
    cases = parity_cases()
    people = ", ".join(f"`{keyword}`" for keyword in USER_KEYWORDS[:6])
    lines = [INTRODUCTION.format(sdk=SDK_VERSION, people=people), *table_of_modalities(), "", METHODS]
    spelled: set[str] = set()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        lay_out_files(folder)
        sections = {"Tasks by modality": {k: v for one in MODALITIES for k, v in modality_methods(one).items()}}
        for title, methods in (sections | SECTIONS).items():
            spelled |= set(methods.values())
            lines += [f"### {title}", "", *table_of_methods(methods, cases, folder), ""]
    lines += [
        FILES,
        *table_of_file_methods(),
        "",
        "### Only on the groups",
        "",
        *only_on_groups(spelled),
        "",
        "## Intended differences",
        "",
        *table_of(DIFFERENCES),
        "## Intended differences on files",
        "",
        *table_of(ON_FILES),
        ASKED_AGAIN.rstrip("\n"),
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
        if current != text:
            print("docs/api.md is out of date; run python scripts/api_page.py")
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
