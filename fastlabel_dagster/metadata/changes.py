"""What changed in the labels between two versions, as Dagster metadata: a sentence, a table, a picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastlabel_dagster.metadata.tables import records_table

if TYPE_CHECKING:
    import pyarrow as pa

    from fastlabel_dagster.metadata.sheet import ReadImage
    from fastlabel_dagster.metadata.summary import ClassCount
    from fastlabel_dagster.sync import LabelMirror

#: A difference with more tasks than this is counted by what the versions say of themselves, not listed.
MOST_TASKS = 20_000
#: How many changed tasks are drawn, each as it was and as it is.
_DRAWN = 6
#: A picture of changes is about this many bytes at most: an asset may have two.
_LARGEST = 70_000


def changes_since(mirror: LabelMirror, before: int, after: int, *, name: str = "changes") -> dict[str, Any]:
    """The difference of two versions of the mirror, as metadata.

    ``name``: one sentence; ``<name>_from``, ``<name>_to``: the versions; ``<name>_table``: up to 50 changes. Equal
    versions say ``no changes`` and have no table. Where the versions differ in more than 20,000 tasks only their sizes
    are compared.

    Raises:
        LookupError: a version is not there, or its files were given up.
    """
    told: dict[str, Any] = {f"{name}_from": before, f"{name}_to": after}
    if before == after:
        return {name: "no changes", **told}
    old, new = mirror.at(before), mirror.at(after)
    if max(old.tasks, new.tasks) > MOST_TASKS and _differing_tasks(mirror, before, after) > MOST_TASKS:
        sentence = f"more than {MOST_TASKS:,} tasks differ; {old.tasks:,} → {new.tasks:,} tasks, "
        return {name: f"{sentence}{old.annotations:,} → {new.annotations:,} annotations", **told}
    difference = mirror.diff(before, after)
    rows = difference.table.slice(0, 51).to_pylist()
    columns = [(column, "string") for column in difference.table.column_names]
    shown = [{key: None if value is None else str(value) for key, value in row.items()} for row in rows]
    return {name: str(difference), **told, f"{name}_table": records_table(shown, columns)}


def _differing_tasks(mirror: LabelMirror, before: int, after: int) -> int:
    """How many tasks differ, counted up to a bit more than :data:`MOST_TASKS`."""
    count = 0
    for old, new in mirror.changed(before, after):
        count += max(old.num_rows, new.num_rows)
        if count > MOST_TASKS:
            break
    return count


def changes_picture(
    mirror: LabelMirror,
    before: int,
    after: int,
    *,
    classes: Sequence[ClassCount],
    read_image: ReadImage,
    on_problem: Callable[[str], object] = lambda _: None,
) -> str | None:
    """Up to six changed tasks, each as it was beside what it is; an SVG document, None when none of them can be drawn.

    Only tasks both versions have are drawn: of a new one there is nothing to compare. About the first 20,000 tasks that
    differ are looked at; where these have another status only, there is no picture.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    from fastlabel_dagster.metadata.sheet import contact_sheet

    rows: list[pa.Table] = []
    looked_at = 0
    for old, new in mirror.changed(before, after):
        place = pc.index_in(old["task_id"], value_set=new["task_id"].combine_chunks())
        for number, other in enumerate(place.to_pylist()):
            if other is None:
                continue
            looked_at += 1
            one, same = old.slice(number, 1), new.slice(other, 1)
            if one["annotations"].equals(same["annotations"]):
                continue  # another status: nothing to see
            rows += [_named(one, "before"), _named(same, "after")]
            if len(rows) >= 2 * _DRAWN:
                break
        if len(rows) >= 2 * _DRAWN or looked_at > MOST_TASKS:
            break
    return contact_sheet(pa.concat_tables(rows), classes, read_image, on_problem, limit=_LARGEST) if rows else None


def _named(task: pa.Table, moment: str) -> pa.Table:
    import pyarrow as pa

    position = task.schema.get_field_index("name")
    name = f"{moment}: {task['name'][0].as_py() or ''}"
    return task.set_column(position, task.schema.field(position), pa.array([name], task.schema.field(position).type))


def since_trained(
    mirror: LabelMirror, trained: Mapping[str, Any], now: int, *, name: str = "changes_since_model"
) -> dict[str, Any]:
    """What changed since the version of the labels the newest model was trained on.

    ``trained`` is the metadata of that model's materialization, empty when there is none.

    Without a model, or with one that does not say its version, the sentence says so.
    """
    version = trained.get("labels_version")
    if not isinstance(version, int) or version < 0:
        return {name: "the model does not say its labels' version" if trained else "no model was trained yet"}
    try:
        return changes_since(mirror, version, now, name=name)
    except LookupError as error:
        return {name: f"version {version} of the labels is not there any more ({error})"}
