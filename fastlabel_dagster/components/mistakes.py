"""What is wrong in a component's YAML: one sentence for each place, with what belongs there, and never with a value.

Dagster makes a model of a component's attributes and lets pydantic tell what does not fit. Every attribute may be a
template there, so a wrong value is wrong in two or three ways at once, a text fits everywhere, and each value is
repeated, which is the token when somebody has pasted it into the wrong line. So what pydantic finds is told anew here.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from types import UnionType
from typing import Annotated, Any, NamedTuple, TypeAlias, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ModelWrapValidatorHandler, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo

from fastlabel_dagster.components.names import alike
from fastlabel_dagster.store.opening import refuse_uri
from fastlabel_dagster.workspace.selector import like_a_token

#: Stands for what somebody wrote in an error about it.
_NOT_REPEATED = "not repeated here"
#: What belongs where pydantic has found something else, by the kind of its error.
_WANTED = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "is_instance_of": "a list",  # a Sequence; Mappings are dict_type
    "sequence_str": "a list",
    "list_type": "a list",
    "tuple_type": "a list",
    "string_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "callable_type": "a mapping",
    "named_tuple_type": "a mapping",
    "dataclass_type": "a mapping",
}
#: The kind of an error that says itself what is wrong.
_TOLD = "told"
#: Attributes of a spec that are no texts, and what pydantic would say of a text there if it could tell a template.
_OF_A_SPEC = {
    "deps": "list_type",
    "owners": "list_type",
    "kinds": "list_type",
    "tags": "dict_type",
    "metadata": "dict_type",
}
#: Attributes whose values an error may repeat: without them nobody would know what it is about.
_REPEATED = frozenset({"fastlabel", "project", "store", "dataset", "selector"})
_PLAIN_NAME = re.compile(r"[a-z][a-z_]{0,29}")
_LIKE_A_TOKEN = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_+/=.-]{16,}")

#: Where it is said why a project was left out, in the words of the error.
_LOGS = ("fastlabel_dagster.assets", "fastlabel_dagster.components")

Path: TypeAlias = tuple[str | int, ...]


class _Found(NamedTuple):
    """One error of pydantic: where in the YAML, by which of several ways to read it, and what it is."""

    path: Path
    ways: tuple[str, ...]
    error: Mapping[str, Any]


@cache
def told_plainly(component: type[BaseModel], derived: type[BaseModel]) -> type[BaseModel]:
    """``derived``, which Dagster reads the YAML of ``component`` with, so that it tells a mistake as this module does.

    The errors hold no value: Dagster makes them anew, with line numbers and with the values they hold.
    """

    def told(value: Any, handler: ModelWrapValidatorHandler[BaseModel]) -> BaseModel:
        found: list[_Found] = []
        if isinstance(value, Mapping):
            found = [*_unnoticed(component, value), *_of_translation(value), *_of_stores(value)]
        try:
            model = handler(value)
            if not found:
                return model
        except ValidationError as error:
            found += [_found(one, value) for one in error.errors(include_url=False)]
        details: Any = [
            {"type": "value_error", "loc": path, "input": _NOT_REPEATED, "ctx": {"error": ValueError(words)}}
            for path, words in _sentences(found, component, derived)
        ]
        raise ValidationError.from_exception_data(derived.__name__, details, hide_input=True)

    around: Any = model_validator(mode="wrap")  # which wants to know the model, and there is none before it is made
    made: type[BaseModel] = type(
        derived.__name__,
        (derived,),
        {
            "__module__": derived.__module__,
            "model_config": ConfigDict(hide_input_in_errors=True),
            "told_plainly": around(told),
        },
    )
    return made


def _unnoticed(model: type[BaseModel], written: Mapping[str, Any], above: Path = ()) -> list[_Found]:
    """What the model that Dagster derives lets pass: a text, no template, where something else belongs, and a number
    out of its limits."""
    found: list[_Found] = []
    for name, value in written.items():
        field = model.model_fields.get(name)
        if field is None:
            continue
        if isinstance(value, Mapping):
            for one in _models(field):
                found += _unnoticed(one, value, (*above, name))
            continue
        if isinstance(value, str):
            odd = not _is_template(value) and str not in _kinds(field.annotation)
        else:
            odd = isinstance(value, int | float) and bool(field.metadata)
        if odd:
            allowed: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            try:
                TypeAdapter(allowed).validate_python(value)
            except ValidationError as error:
                found += [_Found((*above, name), (), one) for one in error.errors(include_url=False)]
    return found


def _of_translation(written: Mapping[str, Any]) -> Iterator[_Found]:
    """What passes for an attribute of a spec, and ends in an error nobody understands when the spec is made of it."""
    translation = written.get("translation")
    for name, value in translation.items() if isinstance(translation, Mapping) else ():
        if name == "key" and value is None:
            yield _Found(("translation", name), (), {"type": "string_type"})
        elif name in _OF_A_SPEC and isinstance(value, str) and not _is_template(value):
            yield _Found(("translation", name), (), {"type": _OF_A_SPEC[name]})


def _of_stores(written: Mapping[str, Any]) -> Iterator[_Found]:
    """Stores nobody can open, which would be told when something is first written there. An empty one is told of by
    who knows what it would mean."""
    projects = written.get("projects")
    own = projects.items() if isinstance(projects, Mapping) else ()
    stores = [
        (("projects",) if like_a_token(str(slug)) else ("projects", str(slug), "store"), said.get("store"))
        for slug, said in own
        if isinstance(said, Mapping)
    ]
    for path, store in [(("store",), written.get("store")), *stores]:
        if isinstance(store, str) and store.strip() and not _is_template(store):
            try:
                refuse_uri(store)
            except ValueError as error:
                yield _Found(path, (), {"type": _TOLD, "msg": str(error)})


def _is_template(text: str) -> bool:
    """Whether Jinja makes something else of it: an expression, or a statement such as ``{% if … %}``."""
    return "{{" in text or "{%" in text


def _kinds(annotation: Any) -> set[Any]:
    """What an annotation allows, unions taken apart: classes, and ``Mapping`` or ``Sequence`` without what is in it."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kinds(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return {kind for one in get_args(annotation) for kind in _kinds(one)}
    return {origin or annotation}


def _models(field: FieldInfo) -> list[type[BaseModel]]:
    """The models that a field may hold."""
    return [one for one in _kinds(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]


def _field(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field of what is at ``path``; None in a list, or a mapping of any names."""
    field = None
    for number, step in enumerate(path):
        field = model.model_fields.get(str(step))
        if field is None:
            return None
        if number + 1 < len(path):
            inner = _models(field)
            if not inner:
                return None
            model = inner[0]
    return field


def _found(error: Mapping[str, Any], value: Any) -> _Found:
    """Where an error of pydantic is: its place names every way to read a value besides keys and numbers."""
    path: list[str | int] = []
    ways: list[str] = []
    for number, step in enumerate(error["loc"], 1):
        inside = isinstance(value, Mapping) and step in value
        inside = inside or (isinstance(value, list) and isinstance(step, int) and step < len(value))
        if inside:
            value = value[step]
            if _could_be_a_token(str(step), of_projects=path == ["projects"]):
                break  # which is the end of what can be said of the place
        if inside or (error["type"] == "missing" and number == len(error["loc"])):
            path.append(step)
        else:
            ways.append(str(step))
    return _Found(tuple(path), tuple(ways), error)


def _sentences(
    found: Iterable[_Found], component: type[BaseModel], derived: type[BaseModel]
) -> Iterator[tuple[Path, str]]:
    """What is said of each place. Of one attribute only the innermost mistakes are told: the others are that what is
    around them is no template either."""
    by_attribute: dict[object, list[_Found]] = {}
    for one in found:
        by_attribute.setdefault(one.path[0] if one.path else None, []).append(one)
    for those in by_attribute.values():
        deepest = max(len(one.path) for one in those)
        by_place: dict[Path, list[_Found]] = {}
        for one in those:
            if len(one.path) == deepest:
                by_place.setdefault(one.path, []).append(one)
        for path, several in by_place.items():
            field = _field(component, path)
            if field is not None and str not in _kinds(field.annotation):
                several = [one for one in several if one.ways[-1:] != ("str",)] or several  # noqa: PLW2901 - fewer
            unknown = next((one for one in several if one.error["type"] == "extra_forbidden"), None)
            if unknown is not None:
                yield _no_such_name(path, unknown, derived)
            else:
                yield path, _what_belongs(path, several, field)


def _no_such_name(path: Path, unknown: _Found, derived: type[BaseModel]) -> tuple[Path, str]:
    name = str(unknown.error["loc"][-1])
    above = path[:-1] if path and str(path[-1]) == name else path
    known = _names(derived, above)
    near = alike(known, name)
    where, has = _written(above) or "a component", f"it has {', '.join(known)}"
    if near or _PLAIN_NAME.fullmatch(name):
        return (*above, name), f"{where} has no {name}{near}; {has}"
    return above, f"{where} is given a name that it has not, which is not repeated here; {has}"


def _what_belongs(path: Path, several: Iterable[_Found], field: FieldInfo | None) -> str:
    errors = [one.error for one in several]
    place = _written(path)
    if any(error["type"] == "missing" for error in errors):
        return f"{place} is needed"
    told = next((error["msg"] for error in errors if error["type"] == _TOLD), None)
    if told is not None:
        return f"{place}: {told}"
    wanted = dict.fromkeys(_WANTED.get(str(error["type"])) or _other(error) for error in errors)
    example = f", such as {_as_yaml(field.examples[0])}" if field is not None and field.examples else ""
    return f"{place} takes {' or '.join(wanted)}{example}"


def _as_yaml(value: object) -> str:
    """In one line."""
    lines = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=999).splitlines()
    return " ".join(line for line in lines if line != "...")


def _other(error: Mapping[str, Any]) -> str:
    """In pydantic's own words, which are of the limits: ``what is greater than 0``."""
    expected = error.get("ctx", {}).get("expected")
    if expected is not None:
        return str(expected)
    return "what " + re.sub(r"^Input should be ", "is ", str(error["msg"]))


def _names(model: type[BaseModel], path: Path) -> list[str]:
    """The attributes of what is at ``path``."""
    field = _field(model, path)
    inner = [model] if not path else [] if field is None else _models(field)
    return list(inner[0].model_fields) if inner else []


@contextmanager
def no_tokens(component: BaseModel, written: BaseModel | None = None) -> Iterator[None]:
    """Errors and warnings within repeat no text of the component's attributes that could be a token, but for the names
    of projects, stores and datasets: what is wrong with a value is said by many, who know of no YAML.

    Args:
        written: what the component was made from, where that holds more than the component.

    Raises:
        ValueError: in place of an error that would have repeated one.
    """

    def quiet(words: str) -> str:
        for text in {text for one in (component, written) if one is not None for text in _secretive(one)}:
            words = words.replace(text, _NOT_REPEATED)
        return words

    def quieten(record: logging.LogRecord) -> bool:
        words = record.getMessage()
        if quiet(words) != words:
            record.msg, record.args = quiet(words), None
        return True

    logs = [logging.getLogger(name) for name in _LOGS]
    for log in logs:
        log.addFilter(quieten)
    try:
        yield
    except Exception as error:
        words = str(error)
        if quiet(words) == words:
            raise
        raise ValueError(quiet(words)) from None
    finally:
        for log in logs:
            log.removeFilter(quieten)


def _secretive(component: BaseModel) -> Iterator[str]:
    """The texts of a component that could be a token."""
    for name, value in component:
        if name not in _REPEATED:
            named_by_slug = name == "projects" and isinstance(value, Mapping)
            said = list(value.values()) if named_by_slug else value
            yield from (text for text in _texts_in(said) if _could_be_a_token(text))
            yield from filter(like_a_token, map(str, value) if named_by_slug else ())
        elif isinstance(value, Mapping):
            yield from filter(_could_be_a_token, map(str, value))
        if name == "selector":
            yield from filter(like_a_token, _texts_in(value))


def _could_be_a_token(text: str, *, of_projects: bool = False) -> bool:
    """Slugs are looked at more closely: many are as long as a token, and without them an error is of no use."""
    return like_a_token(text) if of_projects else _LIKE_A_TOKEN.fullmatch(text) is not None


def _texts_in(said: object) -> Iterator[str]:
    if isinstance(said, str):
        yield said
    elif isinstance(said, BaseModel):
        yield from _texts_in(dict(said))
    elif isinstance(said, Mapping):
        for name, value in said.items():
            yield from _texts_in(name)
            yield from _texts_in(value)
    elif isinstance(said, list | tuple):
        for one in said:
            yield from _texts_in(one)


def _written(path: Path) -> str:
    """``exports[0].format``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
