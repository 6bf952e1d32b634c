"""Import this first: from then on nobody in this process sleeps for more than a moment.

Pauses before retries and between looks are what the tests under fire have many of, and none of them is about time.
"""

import time

_sleep = time.sleep


def _moment(seconds: float) -> None:
    _sleep(min(seconds, 0.01))


time.sleep = _moment
