"""Which project a mirror is of: slugs are unique in an account only, and one that was deleted can be given again.

Every commit notes the project's id, the address of the API and when the project was looked up, and a sync compares them
with what it finds. No answer of the API names the account, so two accounts of one service are told apart by their
projects' ids, and a project that was made anew by its date: it is younger than the look the mirror is from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.transport import same_origin

if TYPE_CHECKING:
    from fastlabel_dagster.sync.snapshot import MirrorVersion

_WAY_OUT = (
    "give it a store of its own; or, if it is to take the place of the other one, sync once with take_over=True "
    "(--take-over on the command line, take_over: true in the configuration of a run); all versions stay readable"
)


class ForeignMirror(Invalid):
    """The mirror in the store is of another project, or of one at another address. Trying again changes nothing."""


@dataclass(frozen=True)
class Identity:
    """A project as a sync found it.

    Attributes:
        project: the slug.
        project_id: what the API calls it; empty when it says no id.
        base_url: where the API was asked.
        created_at: when the project was made, in UTC; None when the API does not say.
        looked_at: when it was looked up, in UTC, by the clock of this machine, to the millisecond.
    """

    project: str
    project_id: str
    base_url: str
    created_at: datetime | None
    looked_at: datetime

    @classmethod
    def of(cls, found: Mapping[str, Any], project: str, base_url: str, looked_at: datetime) -> Identity:
        """The project ``found`` at the API ``base_url``."""
        looked_at = looked_at.astimezone(timezone.utc)
        return cls(
            project=project,
            project_id=str(found.get("id") or ""),
            base_url=base_url,
            created_at=_moment(found.get("createdAt")),
            looked_at=looked_at.replace(microsecond=looked_at.microsecond // 1000 * 1000),  # as exact as the API is
        )

    @property
    def facts(self) -> dict[str, str]:
        """What a commit notes of it."""
        return {
            "project_id": self.project_id,
            "base_url": self.base_url,
            "looked_at": self.looked_at.isoformat(timespec="milliseconds"),
        }

    def remembered(self, version: MirrorVersion) -> Identity:
        """This project by the id ``version`` notes of it, where the API, asked at the same address, said none: nobody
        could tell it from another one any more, if the next version noted none."""
        if self.project_id or not same_address(version.base_url, self.base_url):
            return self
        return replace(self, project_id=version.project_id)

    def is_noted_in(self, version: MirrorVersion) -> bool:
        """Whether a version notes this project at this address already."""
        return version.project == self.project and self._is_same(version)

    def _is_same(self, version: MirrorVersion) -> bool:
        return version.project_id == self.project_id and _same_place(version.base_url, self.base_url)

    def replaces(self, version: MirrorVersion, place: str, *, take_over: bool = False) -> str | None:
        """The id of the project that this one takes the place of in the mirror at ``place``; None when it is the same,
        also one that was renamed since, or when the newest ``version`` does not say which it was.

        Raises:
            ForeignMirror: the mirror is of another project, or of one at another address, and may not be taken over.
        """
        if version.project != self.project and not (self.project_id and self._is_same(version)):
            raise ForeignMirror(
                f"{place} mirrors the project {version.project!r}; give {self.project!r} a store of its own"
            )
        if not version.base_url:
            return None
        same = version.project_id == self.project_id or not (version.project_id and self.project_id)
        if not take_over:
            known = same and bool(self.project_id) and _same_place(version.base_url, self.base_url)
            if not known and not same_address(version.base_url, self.base_url):
                raise ForeignMirror(
                    f"{place} mirrors {self.project!r} as it is at {version.base_url}, and this one is at "
                    f"{self.base_url}: {_WAY_OUT}"
                )
            if not same and not self._is_younger(version):
                raise ForeignMirror(
                    f"{place} mirrors another project called {self.project!r}, of another account it seems: "
                    f"{version.project_id}, and this one is {self.project_id}: {_WAY_OUT}"
                )
        return None if same else version.project_id

    def _is_younger(self, version: MirrorVersion) -> bool:
        """Whether this project was made after the one of ``version`` was last seen changed: then it cannot have been
        there beside it."""
        return self.created_at is not None and version.looked_at is not None and self.created_at >= version.looked_at


def refuse_other_address(version: MirrorVersion, base_url: str, place: str) -> None:
    """Raises ForeignMirror when the API at ``base_url`` cannot be the one that the mirror at ``place`` is from."""
    if version.base_url and not _same_place(version.base_url, base_url):
        raise ForeignMirror(
            f"{place} mirrors {version.project!r} as it is at {version.base_url}, and this API is at {base_url}: "
            f"{_WAY_OUT}"
        )


def same_address(one: str, other: str) -> bool:
    """Whether two base URLs are the same: host in any case, default port said or not, slash at the end or not."""
    return same_origin(one, other) and urlsplit(one).path.rstrip("/") == urlsplit(other).path.rstrip("/")


def _same_place(one: str, other: str) -> bool:
    """Whether two base URLs are the same, or both of this machine: a sandbox has another port each time it starts."""
    return same_address(one, other) or (_is_local(one) and _is_local(other))


def _is_local(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "::1", "localhost")


def _moment(text: object) -> datetime | None:
    """The time that the API writes as ``2021-04-20T03:20:41.427Z``; None when it is no time."""
    try:
        found = datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)
