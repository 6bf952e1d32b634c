"""``FastLabelResource``: one configured, lazily connected FastLabel client, and the one place where its errors become
Dagster's."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, TypeVar, cast

import dagster as dg
from pydantic import Field, PrivateAttr

from fastlabel_dagster.api.errors import (
    FastLabelError,
    Invalid,
    NotFound,
    RateLimited,
    RemoteJobFailed,
    ServerError,
    TransportError,
    Unauthorized,
)

if TYPE_CHECKING:
    from fastlabel_dagster.api import FastLabelClient

#: Wrong now and wrong when tried again: no retry, whatever retry policy a step has.
PERMANENT_ERRORS = (Unauthorized, NotFound, Invalid, RemoteJobFailed)
#: May work later: the step asks Dagster for another attempt.
PASSING_ERRORS = (RateLimited, ServerError, TransportError)


#: Tokens by what stands for them in a resource's configuration.
_TOKENS: dict[str, str] = {}
_STANDS_FOR = "token kept in memory, "


def _hidden(token: str) -> str:
    """What stands for ``token`` from now on: the same in every process that loads the same definitions."""
    if token.startswith(_STANDS_FOR):
        return token
    stand_in = _STANDS_FOR + blake2b(token.encode("utf-8", "surrogatepass"), digest_size=4).hexdigest()
    _TOKENS[stand_in] = token
    return stand_in


class FastLabelResource(dg.ConfigurableResource):  # type: ignore[type-arg]  # generic only in Dagster's own typing
    """Access to the FastLabel API for assets, ops and sensors.

    Example:
        >>> import dagster as dg
        >>> from fastlabel_dagster import FastLabelResource
        >>> resources = {"fastlabel": FastLabelResource(access_token=dg.EnvVar("FASTLABEL_ACCESS_TOKEN"))}

    Nothing is sent and no client is made when a code location loads: the client is created on first use of
    :attr:`client`, once per process and run (or sensor tick), and closed when the run ends.

    Dagster stores a resource's configuration with the code location and with every run, and shows it. A token is
    therefore taken out of it at once, also one that was written into the code: ``access_token`` then holds a text that
    stands for it, and the token itself stays in this process's memory. ``dg.EnvVar`` is kept as it is.
    """

    access_token: str = Field(
        default="",
        description="FastLabel access token. Give dg.EnvVar('FASTLABEL_ACCESS_TOKEN'); empty means just that variable.",
        json_schema_extra={"dagster__is_secret": True},
        repr=False,
    )
    base_url: str = Field(
        default="",
        description="API address ending in /v1/. Empty: FASTLABEL_API_URL, else the public service.",
    )
    connect_timeout_seconds: float = Field(default=5.0, gt=0, description="How long to wait for a connection.")
    read_timeout_seconds: float = Field(default=60.0, gt=0, description="How long to wait for each part of an answer.")
    request_attempts: int = Field(
        default=5, ge=1, description="How often one request is sent at most when it fails (429, 5xx, network)."
    )
    requests_per_10_minutes: int = Field(
        default=10_000,
        ge=1,
        description="Request budget of this process. The service allows 10,000 in 10 minutes, all processes together.",
    )
    step_retries: int = Field(
        default=2, ge=0, description="How often a step is tried again after all request attempts failed."
    )
    step_retry_seconds: float = Field(
        default=30.0, ge=0, description="Pause before such a retry, unless the server names a longer one."
    )

    def __init__(self, **data: Any) -> None:
        token = data.get("access_token")
        if isinstance(token, str) and token and not isinstance(token, dg.EnvVar):
            data["access_token"] = _hidden(token)
        super().__init__(**data)

    _client: FastLabelClient | None = PrivateAttr(default=None)
    _lock: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @property
    def client(self) -> FastLabelClient:
        """The :class:`~fastlabel_dagster.api.FastLabelClient`, made on first use.

        Raises:
            Unauthorized or Invalid: there is no token, neither here nor in ``FASTLABEL_ACCESS_TOKEN``.
        """
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _connect(self) -> FastLabelClient:
        from fastlabel_dagster.api import FastLabelClient, RequestBudget, RetryPolicy

        token: str | None = self.access_token
        if isinstance(token, dg.EnvVar):  # outside a run, where Dagster does not look it up
            token = token.get_value()
        elif token and token.startswith(_STANDS_FOR):
            if token not in _TOKENS:
                raise Invalid(
                    "the access token was copied from a run's configuration, which does not hold it",
                    hint="leave access_token out, or give dg.EnvVar('FASTLABEL_ACCESS_TOKEN')",
                )
            token = _TOKENS[token]
        return FastLabelClient(
            access_token=token or None,
            base_url=self.base_url or None,
            timeout=(self.connect_timeout_seconds, self.read_timeout_seconds),
            retry=RetryPolicy(attempts=self.request_attempts),
            budget=RequestBudget(requests=self.requests_per_10_minutes),
        )

    def close(self) -> None:
        """Close the client's connections; the next use of :attr:`client` makes a new one."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Called by Dagster when the run, step process or tick ends."""
        self.close()

    def ping(self) -> dict[str, Any]:
        """Ask the API for one project: proves address, token and network in one cheap request.

        Returns:
            ``{"ok": True, "seconds": float, "url": str}``.

        Raises:
            FastLabelError: whatever is wrong, with a hint.
        """
        started = time.monotonic()
        self.client.projects.list(limit=1)
        return {"ok": True, "seconds": round(time.monotonic() - started, 3), "url": str(self.client.base_url)}

    @contextmanager
    def dagster_errors(
        self, context: dg.OpExecutionContext | dg.AssetExecutionContext | None = None
    ) -> Iterator[FastLabelClient]:
        """Give the client, and turn its errors into what Dagster understands.

        Permanent errors (401, 403, 404, other 4xx, a failed remote job) become ``dg.Failure(allow_retries=False)``;
        passing ones (429, 5xx, network) become ``dg.RetryRequested`` up to ``step_retries`` times, waiting as long as
        the server asked, and then a ``dg.Failure`` that says what was wrong instead of "exceeded max_retries". Each
        carries the request, the status and a hint as metadata. With ``context`` the number of attempts so far is known;
        without it Dagster does the counting.

        Example:
            >>> with fastlabel.dagster_errors(context) as client:     # doctest: +SKIP
            ...     client.tasks.count("street-scenes")
        """
        try:
            yield self.client
        except PASSING_ERRORS as error:
            attempts = None if context is None else context.retry_number
            if attempts is not None and attempts >= self.step_retries:
                raise failure(error, attempts=attempts + 1) from error
            raise dg.RetryRequested(max_retries=self.step_retries, seconds_to_wait=self._pause(error)) from error
        except FastLabelError as error:
            raise failure(error) from error

    def _pause(self, error: FastLabelError) -> float:
        asked = error.retry_after if isinstance(error, RateLimited) else None
        return max(self.step_retry_seconds, asked or 0.0)


def failure(error: FastLabelError, *, attempts: int | None = None) -> dg.Failure:
    """``error`` as a Dagster failure that no retry policy repeats, its parts as metadata."""
    tried = f" (tried {attempts} times)" if attempts and attempts > 1 else ""
    return dg.Failure(
        description=f"{error_kind(error)}: {error}{tried}", metadata=error_metadata(error), allow_retries=False
    )


def error_kind(error: FastLabelError) -> str:
    """The name of the error's kind in the documented tree (``TransportError``, ``NotFound``, …)."""
    tree = FastLabelError.__module__
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == tree)


def error_metadata(error: FastLabelError) -> dict[str, Any]:
    """What a reader of the UI needs to know about an API error. Never the token: the errors do not carry it."""
    metadata: dict[str, Any] = {"error": error_kind(error), "message": error.message}
    if error.hint:
        metadata["what to do"] = error.hint
    if error.status is not None:
        metadata["http_status"] = error.status
    request = f"{error.method} {error.path}".strip()
    if request:
        metadata["request"] = request
    if isinstance(error, RateLimited) and error.retry_after is not None:
        metadata["retry_after_seconds"] = float(error.retry_after)
    return metadata


_Step = TypeVar("_Step", bound=Callable[..., Any])


def resource_named(key: str, step: _Step) -> _Step:
    """``step``, its parameter ``fastlabel`` renamed to ``key``, so that Dagster hands it the resource of that name.

    Dagster finds a step's resources by parameter name; a code location with two FastLabel workspaces holds two
    resources under two names, and the same asset, op or sensor body serves both. Annotations become real types on the
    way: Dagster reads them as they are, and does not evaluate those a module has postponed.
    """
    parameters = [
        parameter.replace(name=key) if parameter.name == "fastlabel" else parameter
        for parameter in inspect.signature(step, eval_str=True).parameters.values()
    ]

    def renamed(*args: Any, **given: Any) -> Any:
        return step(*args, **{"fastlabel" if name == key else name: value for name, value in given.items()})

    renamed.__name__, renamed.__qualname__, renamed.__doc__ = step.__name__, step.__qualname__, step.__doc__
    renamed.__module__ = step.__module__
    vars(renamed)["__signature__"] = inspect.Signature(parameters)
    renamed.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return cast("_Step", renamed)
