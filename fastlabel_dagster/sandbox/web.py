"""The HTTP face of the sandbox: authentication, budget, routing, files."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from functools import partial
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from fastlabel_dagster.sandbox.budget import Budget
from fastlabel_dagster.sandbox.call import Call, Endpoint, JsonText, not_here
from fastlabel_dagster.sandbox.control import ENDPOINTS as CONTROL
from fastlabel_dagster.sandbox.endpoints import ENDPOINTS
from fastlabel_dagster.sandbox.errors import Refused
from fastlabel_dagster.sandbox.state import SandboxState
from fastlabel_dagster.sandbox.uploads import Upload

_METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")


class Web:
    """Builds the ASGI application around a state.

    Every request goes through :meth:`_serve`: token, budget, body, then the endpoint in a worker thread (SQLite
    blocks). ``page_limit`` lowers the largest page of every list.
    """

    def __init__(
        self, state: SandboxState, *, token: str, requests_per_10_minutes: int, page_limit: int | None = None
    ) -> None:
        self._state = state
        self._token = f"Bearer {token}".encode()
        self._page_limit = page_limit
        self._budget = Budget(requests_per_10_minutes, state.clock.unscaled)
        files = (("GET", "/files/{key:path}"), ("PUT", "/files/{key:path}"))
        state.faults.know([*((row.method, f"/v1/{row.path}") for row in ENDPOINTS), *files])

    def application(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                *self._routes("/v1/", ENDPOINTS, counted=True),
                *self._routes("/_sandbox/", CONTROL, counted=False),
                Route("/files/{key:path}", self._download, methods=["GET"]),
                Route("/files/{key:path}", self._upload, methods=["PUT"]),
                Route("/{rest:path}", self._lost, methods=list(_METHODS)),
            ],
            exception_handlers={Exception: _broken},
        )

    def _routes(self, prefix: str, endpoints: Iterable[Endpoint], *, counted: bool) -> list[Route]:
        rows = [*endpoints, *(Endpoint(method, "{rest:path}", not_here) for method in _METHODS)]
        return [
            Route(prefix + path, partial(self._serve, handler, counted), methods=[method], name=f"{method} {path}")
            for method, path, handler in rows
        ]

    async def _serve(self, handler: Any, counted: bool, request: Request) -> Response:
        try:
            if not hmac.compare_digest(request.headers.get("authorization", "").encode(), self._token):
                raise Refused(401, "Unauthorized")
            if counted:
                self._budget.take()
            body = _body(await request.body()) if request.method != "GET" else {}
            call = Call(self._state, request.path_params, request.query_params, body, _base(request), self._page_limit)
            return await run_in_threadpool(self._answer, handler, call)
        except Refused as refused:
            return _refusal(refused)

    def _answer(self, handler: Any, call: Call) -> Response:
        self._state.settle()
        answer = handler(call)
        if answer is None:
            return Response(status_code=204)
        content = answer.encode() if isinstance(answer, JsonText) else orjson.dumps(answer)
        return Response(content, media_type="application/json")

    async def _download(self, request: Request) -> Response:
        try:
            key = request.path_params["key"]
            query = request.query_params
            self._state.files.verify("GET", key, query.get("expires"), query.get("signature"))
            path = self._state.files.path(key)
            if not path.is_file():
                raise Refused(404, "No such file")
            return FileResponse(path)
        except Refused as refused:
            return _refusal(refused)

    async def _upload(self, request: Request) -> Response:
        try:
            key = request.path_params["key"]
            query = request.query_params
            self._state.files.verify("PUT", key, query.get("expires"), query.get("signature"))
            with Upload(self._state.files.path(key), request.headers.get("content-type", "")) as upload:
                async for chunk in request.stream():
                    await run_in_threadpool(upload.write, chunk)
                await run_in_threadpool(upload.finish)
            return Response(status_code=200)
        except Refused as refused:
            return _refusal(refused)

    async def _lost(self, request: Request) -> Response:
        return _refusal(Refused(404, f"Cannot {request.method} {request.url.path}"))


async def _broken(request: Request, error: Exception) -> Response:
    """A defect of the sandbox itself; Starlette lets the server log it after this answer."""
    return _refusal(Refused(500, f"The sandbox failed: {type(error).__name__}"))


def _base(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host') or request.url.netloc}"


def _body(content: bytes) -> dict[str, Any]:
    if not content:
        return {}
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Refused(400, f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refused(400, "The body must be a JSON object")
    return body


def _refusal(refused: Refused) -> Response:
    return JSONResponse(refused.body(), status_code=refused.status, headers=refused.headers)
