"""Making something once, also when the answer to the request is lost: look it up by its name before sending again."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from fastlabel_dagster.api.answers import NeverSent
from fastlabel_dagster.api.errors import Invalid, ServerError, TransportError
from fastlabel_dagster.api.transport import Transport

log = logging.getLogger("fastlabel_dagster.api")

Made = TypeVar("Made")


def create_once(transport: Transport, path: str, send: Callable[[], Made], look_up: Callable[[], Made | None]) -> Made:
    """Send a request that makes something, and return what it made.

    After a timeout, a broken connection, a 5xx or an unreadable answer nobody knows whether it was made. Then it is
    looked up by the name that is unique to it, and the request is sent again when it is not there: as often, and as
    patiently, as the retry policy says. Should the server refuse the second request because the first one had worked
    after all, what it made is returned as well.

    What already had the name before the first request cannot be told from what that request made; a server that
    answers refuses the name, and only that answer being lost makes a difference.

    Args:
        send: sends the request once.
        look_up: finds what was to be made, or None.

    Raises:
        FastLabelError: when the request was refused, or failed each time it was sent.
    """
    tries = transport.retry.begin()
    unclear = False
    while True:
        try:
            return send()
        except NeverSent:
            raise  # the transport has tried as often as it should; nothing was made
        except Invalid:
            found = look_up() if unclear else None
            if found is None:
                raise
            return found
        except (TransportError, ServerError) as error:
            if isinstance(error, ServerError) and error.status is None:
                raise  # it was answered, only with something else than expected
            following = tries.after(error, "POST", path, None)
            if following is None:
                raise
            unclear = True
            tries, wait = following
            transport.pause(wait, error)
            found = look_up()
            if found is not None:
                log.info("POST %s: the answer was lost, but what it was to make is there", path)
                return found
