"""Making something once, also when the answer to the request is lost: look it up by its name before sending again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from fastlabel_dagster.api.answers import NeverSent
from fastlabel_dagster.api.errors import FastLabelError, Invalid, ServerError, TransportError
from fastlabel_dagster.api.transport import Transport
from fastlabel_dagster.api.wire import Json

log = logging.getLogger("fastlabel_dagster.api")

Made = TypeVar("Made")

MAY_BE_MADE = "it may have been made all the same; look for it before making it again"

CLOCK_SECONDS = 10.0
"""How far `createdAt` may lie before the first request: the server's `Date` counts whole seconds and travels."""


def create_once(
    transport: Transport,
    path: str,
    send: Callable[[], Made],
    find: Callable[[], Json | None],
    made: Callable[[Json], Made],
    *,
    fits: Callable[[Json], bool] = lambda found: True,
) -> Made:
    """Send a request that makes something, and return what it made.

    After a timeout, a broken connection, a 5xx or an unreadable answer nobody knows whether it was made. Then it is
    looked up by the name that is unique to it, and the request is sent again when it is not there: as often, and as
    patiently, as the retry policy and the server's `Retry-After` say. Should the server refuse the second request
    because the first one had worked after all, what it made is returned as well.

    What had the name before the first request must not pass for what that request made. So what is found has to fit
    what was asked for, and where it shows a `createdAt`, that must not lie before the first request, by the clock in
    the server's own `Date` headers. Of an older thing without that date only the name and the fit are known.

    Args:
        send: sends the request once.
        find: finds by its name what was to be made, or None.
        made: what `send` would have returned for what was found.
        fits: whether what was found does not contradict what was asked for.

    Raises:
        FastLabelError: when the request was refused, or failed each time it was sent. Once an answer was lost, the
            error is the one that lost it, with a hint that the thing may have been made; what failed after it, a
            look-up for instance, is its cause.
    """
    tries = transport.retry.begin()
    begun = transport.wall_clock()
    lost: FastLabelError | None = None

    def look(after: FastLabelError) -> Made | None:
        try:
            found = find()
        except FastLabelError as error:
            raise _unclear(after) from error
        if found is None:
            return None
        if not fits(found) or _older(found, begun, transport):
            raise _unclear(after) from Invalid("something else of this name is there", method="GET", path=path)
        log.info("POST %s: the answer was lost, but what it was to make is there", path)
        return made(found)

    while True:
        try:
            return send()
        except FastLabelError as error:
            if not isinstance(error, (TransportError, ServerError)) or isinstance(error, NeverSent):
                if lost is None:
                    raise  # refused, or never sent however often it was tried: nothing was made
                if isinstance(error, Invalid) and (there := look(lost)) is not None:
                    return there
                raise _unclear(lost) from error
            if isinstance(error, ServerError) and error.status is None:
                raise  # it was answered, only with something else than expected
            lost = lost or error
            following = tries.after(error, "POST", path, getattr(error, "retry_after", None))
            if following is None:
                raise _unclear(error) from None
        tries, wait = following
        transport.pause(wait, lost)
        if (there := look(lost)) is not None:
            return there


def _unclear(lost: FastLabelError) -> FastLabelError:
    lost.hint = MAY_BE_MADE
    return lost


def _older(found: Json, begun: float, transport: Transport) -> bool:
    """Whether the server says that this was made before the first request was sent. Without both clocks: no."""
    ahead = transport.server_ahead
    try:
        created = datetime.fromisoformat(str(found.get("createdAt")).replace("Z", "+00:00"))
    except ValueError:
        return False
    if ahead is None or created.tzinfo is None:
        return False
    return created.timestamp() < begun + ahead - CLOCK_SECONDS
