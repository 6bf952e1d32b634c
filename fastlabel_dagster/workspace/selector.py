"""``ProjectSelector``: which projects of a workspace are meant, decided before anything of a project is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from typing import Any

from fastlabel_dagster.workspace.records import Project


@dataclass(frozen=True)
class ProjectSelector:
    """Projects by slug, pattern, type and status. An empty selector means all of them.

    What is listed in one field is an alternative; fields narrow each other. Patterns are those of a shell: ``*`` any
    text, ``?`` one character, ``[ab]`` one of these; upper and lower case differ.

    Example:
        >>> selector = ProjectSelector(globs=("street-*",), types=("image_*",), exclude=("*-archive",))
        >>> selector.matches(Project(slug="street-night", type="image_bbox"))
        True
        >>> selector.matches(Project(slug="street-archive", type="image_bbox"))
        False

    Attributes:
        slugs: exact slugs. One that does not exist is told when the workspace is fetched.
        globs: patterns of slugs; with ``slugs`` too, a project may fit either.
        types: project types or patterns of them (``image_bbox``, ``video_*``).
        statuses: project statuses (``active``).
        exclude: patterns of slugs to leave out whatever else fits.
    """

    slugs: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for one in fields(self):
            given = getattr(self, one.name)
            listed = (given,) if isinstance(given, str) or not isinstance(given, Iterable) else tuple(given)
            if not all(isinstance(each, str) for each in listed):
                raise ValueError(f"{one.name} of a selector is a list of texts, not {given!r}")
            object.__setattr__(self, one.name, listed)

    @classmethod
    def of(cls, given: ProjectSelector | Mapping[str, Any] | str | Iterable[str] | None) -> ProjectSelector:
        """A selector from what one may write for it: itself, a mapping of its fields, a slug or pattern, several of
        them, or None for everything.

        Raises:
            ValueError: the mapping has a key that is no field, or a value that is no text.
        """
        if given is None:
            return cls()
        if isinstance(given, ProjectSelector):
            return given
        if isinstance(given, Mapping):
            known = {one.name for one in fields(cls)}
            unknown = sorted(set(map(str, given)) - known)
            if unknown:
                raise ValueError(f"a selector has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
            return cls(**{str(name): value for name, value in given.items() if value is not None})
        listed = (given,) if isinstance(given, str) else tuple(given)
        patterns = tuple(one for one in listed if re.search(r"[*?\[]", str(one)))
        return cls(slugs=tuple(one for one in listed if one not in patterns), globs=patterns)

    def matches(self, project: Project) -> bool:
        """Whether a project is meant, by what the list of projects says of it."""
        if (self.slugs or self.globs) and project.slug not in self.slugs and not _fits(project.slug, self.globs):
            return False
        if self.types and not _fits(project.type, self.types):
            return False
        if self.statuses and project.status not in self.statuses:
            return False
        return not _fits(project.slug, self.exclude)


#: What an access token could be: sixteen characters or more, letters and digits among them.
_COULD_BE = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9_+/=.-]{16,}")
#: What slugs are made of: words, numbers, words with a number at one end, and what is too short for a secret.
_OF_SLUGS = re.compile(r"[A-Za-z]{0,20}[0-9]{0,8}|[0-9]{1,8}[A-Za-z]{1,20}|[A-Za-z0-9]{1,4}")


def like_a_token(slug: str) -> bool:
    """Whether what stands where a slug belongs is rather a token that was pasted there, and so is not to be repeated.

    Example:
        >>> like_a_token("street-scenes-2024"), like_a_token("pk3Jd82hs7Qm1Zx9")
        (False, True)
    """
    return bool(_COULD_BE.fullmatch(slug)) and not all(_OF_SLUGS.fullmatch(part) for part in re.split("[-_.]", slug))


def _fits(word: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(word, pattern) for pattern in patterns)
