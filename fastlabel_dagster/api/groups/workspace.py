"""The people of a workspace, and which parts of FastLabel they may use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from fastlabel_dagster.api.creation import create_once
from fastlabel_dagster.api.errors import Invalid
from fastlabel_dagster.api.groups.group import Group, all_pages
from fastlabel_dagster.api.wire import Json, Jsons, given

USERS_PER_PAGE: Final = 100
"""How many users are read at a time; the API names no limit of its own."""

MODULE_PATHS: Final = {"annotation": "annotation", "modelDev": "model-dev", "dataset": "dataset"}
"""The modules of FastLabel, and how each is called in a path."""


def checked_modules(modules: str | Iterable[str]) -> list[str]:
    """The modules, a single one as a list.

    Raises:
        Invalid: (422) when one is none of `MODULE_PATHS`. All are checked before anything is sent.
    """
    wanted = [modules] if isinstance(modules, str) else [*modules]
    if any(module not in MODULE_PATHS for module in wanted):
        raise Invalid("module must be one of 'annotation', 'modelDev', 'dataset'.", status=422)
    return wanted


class WorkspaceUsers(Group):
    """`client.workspace_users`: the workspace's own people, known by their e-mail addresses."""

    def list(self, keyword: str | None = None, offset: int | None = None, limit: int | None = USERS_PER_PAGE) -> Jsons:
        """One page of the users, or of those with `keyword` in their name or address."""
        return self._list("workspaces-users", given(keyword=keyword, offset=offset, limit=limit))

    def iter(self, keyword: str | None = None) -> Iterator[Json]:
        """All of them."""
        return all_pages(lambda offset, limit: self.list(keyword, offset, limit), USERS_PER_PAGE)

    def create(self, name: str, email: str, language: str, role: str) -> Json:
        """Add a user. When the answer is lost, the user is looked up by the address before anything is sent again.

        Args:
            language: `en` or `ja`.
            role: `member` or `owner`.
        """
        body = {"name": name, "email": email, "language": language, "role": role}
        path = "workspaces-users/internal-users"

        def look_up() -> Json | None:
            return next((user for user in self.list(keyword=email) if user.get("userEmail") == email), None)

        return create_once(
            self._transport, path, lambda: self._object("POST", path, body=body), look_up, lambda found: found
        )

    def update(self, email: str, role: str) -> Json:
        """Change a user's role: `member`, `owner`, or `none`, which removes the user as `delete` does."""
        return self._object("PUT", "workspaces-users/internal-users", body={"email": email, "role": role})

    def delete(self, email: str) -> None:
        """Remove a user from the workspace."""
        self._nothing("PUT", "workspaces-users/internal-users", body={"email": email, "role": "none"})

    def grant_modules(self, email: str, modules: str | Iterable[str]) -> Any:
        """Let a user use modules: `annotation`, `modelDev`, `dataset`; one request for each, in order.

        Should one fail, those before it stay granted. Granting again does no harm, so a lost answer is asked again.

        Returns:
            What the API answers to each.

        Raises:
            Invalid: (422) for an unknown module; nothing is sent then.
        """
        return [
            self._transport.call(
                "POST",
                f"function-resource-permissions/{MODULE_PATHS[module]}/internal-users",
                body={"email": email},
                harmless=True,
            )
            for module in checked_modules(modules)
        ]

    def revoke_modules(self, email: str, modules: str | Iterable[str]) -> None:
        """Take modules away from a user; otherwise as `grant_modules`."""
        for module in checked_modules(modules):
            self._nothing("DELETE", "function-resource-permissions", body={"email": email, "resource": module})
