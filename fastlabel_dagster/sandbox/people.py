"""The users of the workspace: their roles, the modules they may use, and their part in projects."""

from __future__ import annotations

import re
import uuid
from typing import Any

import orjson

from fastlabel_dagster.sandbox.database import Database
from fastlabel_dagster.sandbox.errors import invalid, missing
from fastlabel_dagster.sandbox.projects import Projects
from fastlabel_dagster.sandbox.task_body import USERS, checked

ROLES = ("member", "owner")
LANGUAGES = ("en", "ja")
MODULES = ("annotation", "modelDev", "dataset")
PROJECT_ROLES = (
    "annotator",
    "reviewer",
    "owner",
    "external_annotator",
    "external_reviewer",
    "external_approver",
    "external_sub_owner",
    "external_owner",
)

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


class People:
    """The internal users of the workspace; a new one has an owner, ``admin@example.com``, and five members."""

    def __init__(self, database: Database, projects: Projects) -> None:
        self._database = database
        self._projects = projects
        with database.write() as connection:
            if connection.execute("SELECT 1 FROM users").fetchone() is None and database.setting("people") is None:
                database.set_setting("people", "there")
                for slug, name in {"admin": "Admin", **USERS}.items():
                    role = "owner" if slug == "admin" else "member"
                    self._insert(slug, name, f"{slug}@example.com", role, dict.fromkeys(MODULES, True))

    def listed(self, *, keyword: str | None = None, offset: int = 0, limit: int = 20) -> list[dict[str, Any]]:
        """The users; ``keyword`` keeps those whose name or address contains it, in any case of letters."""
        with self._database.read() as connection:
            rows = connection.execute("SELECT body FROM users ORDER BY seq").fetchall()
        wanted = (keyword or "").casefold()
        users = [orjson.loads(body) for (body,) in rows]
        found = [one for one in users if wanted in f"{one['userName']}\n{one['userEmail']}".casefold()]
        return found[offset : offset + limit]

    def create(self, name: Any, email: Any, language: Any, role: Any) -> dict[str, Any]:
        """Invite a user; answers it. A 422 for an address that is taken or none, an unknown language or role."""
        if not isinstance(name, str) or not name:
            raise invalid("name should not be empty")
        if not isinstance(email, str) or not _EMAIL.fullmatch(email):
            raise invalid("email must be an email")
        if checked(language, "language", LANGUAGES) is None or checked(role, "role", ROLES) is None:
            raise invalid("language and role should not be empty")
        with self._database.write() as connection:
            if connection.execute("SELECT 1 FROM users WHERE email = ?", (email,)).fetchone() is not None:
                raise invalid(f"User already exists: {email}")
            return self._insert(email.partition("@")[0], name, email, role, dict.fromkeys(MODULES, False))

    def set_role(self, email: Any, role: Any) -> dict[str, Any]:
        """Give a user another role, or remove it with ``none``; answers the user. The last owner stays."""
        if checked(role, "role", (*ROLES, "none")) is None:
            raise invalid("role should not be empty")
        with self._database.write() as connection:
            user = self._user(email)
            owners = [one for one in self.listed(limit=1 << 30) if one["role"] == "owner"]
            if role != "owner" and [one["userEmail"] for one in owners] == [email]:
                raise invalid("A workspace needs an owner.")
            user["role"] = role
            if role == "none":
                connection.execute("DELETE FROM users WHERE email = ?", (email,))
                connection.execute("DELETE FROM members WHERE email = ?", (email,))
            else:
                self._store(user)
            return user

    def allow(self, email: Any, module: str, allowed: bool) -> str:
        """Let a user use a module of the service, or no longer; answers the permission's id."""
        if checked(module, "resource", MODULES) is None:
            raise invalid("resource should not be empty")
        with self._database.write():
            user = self._user(email)
            user["functionResourcePermissions"][module] = allowed
            self._store(user)
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{email}\n{module}"))

    def set_project_role(self, project: str | None, email: Any, role: Any) -> bool:
        """Give a user a part in a project, or none; answers whether anything changed."""
        if checked(role, "role", (*PROJECT_ROLES, "none")) is None:
            raise invalid("role should not be empty")
        with self._database.write() as connection:
            seq = self._projects.seq(project)
            self._user(email)
            row = connection.execute(
                "SELECT role FROM members WHERE project = ? AND email = ?", (seq, email)
            ).fetchone()
            if (row[0] if row else "none") == role:
                return False
            connection.execute("DELETE FROM members WHERE project = ? AND email = ?", (seq, email))
            if role != "none":
                connection.execute("INSERT INTO members VALUES (?, ?, ?)", (seq, email, role))
        return True

    def _user(self, email: Any) -> dict[str, Any]:
        if not isinstance(email, str) or not email:
            raise invalid("email should not be empty")
        with self._database.read() as connection:
            row = connection.execute("SELECT body FROM users WHERE email = ?", (email,)).fetchone()
        if row is None:
            raise missing(f"User is not found: {email}")
        user: dict[str, Any] = orjson.loads(row[0])
        return user

    def _insert(self, slug: str, name: str, email: str, role: str, modules: dict[str, bool]) -> dict[str, Any]:
        user = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"member {email}")),
            "userId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"user {email}")),
            "userSlug": slug,
            "userName": name,
            "userEmail": email,
            "role": role,
            "isExternal": False,
            "functionResourcePermissions": modules,
        }
        with self._database.write() as connection:
            connection.execute("INSERT INTO users (email, body) VALUES (?, ?)", (email, orjson.dumps(user).decode()))
        return user

    def _store(self, user: dict[str, Any]) -> None:
        with self._database.write() as connection:
            connection.execute(
                "UPDATE users SET body = ? WHERE email = ?", (orjson.dumps(user).decode(), user["userEmail"])
            )
