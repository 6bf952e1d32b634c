"""Bad days on demand: which requests meet which fault, by script or by chance, and how many did.

The rule book only decides; :mod:`fastlabel_dagster.sandbox.fault_web` does the harm. Faults live in the memory of the
server's process: a restart clears them.
"""

from __future__ import annotations

import math
import random
import re
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

#: The kinds that chance draws from unless told otherwise. Any other status from 400 to 599 is a kind as well (``503``).
KINDS = ("429", "500", "502", "reset", "timeout", "slow", "truncated", "html")

#: How long silence lasts and how long a slow body takes, in seconds of the wall, where a rule says nothing else.
SECONDS = {"timeout": 60.0, "slow": 1.0}

# A 429 says that the request was turned away. A slow and a cut body are the true answer to a request that was carried
# out. Everything else leaves the caller in doubt, and both cases occur.
_ONLY_BEFORE = ("429",)
_ONLY_AFTER = ("slow", "truncated")

_MOST_STARS = 8  # each multiplies the ways to compare a path that does not fit

Route = tuple[str, str]


@dataclass(frozen=True)
class Fault:
    """What happens to one request. ``after`` says that it is carried out first and its answer is what gets lost."""

    kind: str
    after: bool
    seconds: float = 0.0
    retry_after: str | None = None


class Faults:
    """The faults in force: scripted ones first, in the order they were given, then those of chance. For any thread."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, str, re.Pattern[str]]] = []
        self._lock = threading.Lock()
        self._script: list[_Scripted] = []
        self._chance: _Chance | None = None
        self._counts: Counter[str] = Counter()
        self._after = 0

    def know(self, routes: Iterable[Route]) -> None:
        """Learn the method and path of every endpoint, in the order in which the server tries them."""
        self._routes = [(method, path, _pattern(path)) for method, path in routes]

    @property
    def active(self) -> bool:
        """Whether any request can meet a fault now."""
        return bool(self._script) or self._chance is not None

    def script(
        self,
        route: str,
        *,
        times: int | None = 1,
        kind: str | None = None,
        status: int | None = None,
        after: bool | None = None,
        skip: int = 0,
        retry_after: float | str | None = None,
        seconds: float | None = None,
    ) -> None:
        """Let the next ``times`` requests of a route fail (None: all of them), after ``skip`` that go well.

        ``route`` is ``"GET tasks/image"``, a path of the API with its parameters in braces or filled in
        (``"GET tasks/image/{task_id}"``), or a pattern with stars (``"* tasks/*"``) that fits some path of it; links to
        files are ``"GET /files/*"`` and ``"PUT /files/*"``. The method may be in any case. Give either ``kind`` (one of
        :data:`KINDS`) or ``status``. ``after`` carries the request out before it fails; left out, it is carried out for
        ``slow`` and ``truncated`` only. ``retry_after`` becomes the ``Retry-After`` header: seconds or an HTTP date.
        ``seconds`` is how long a
        ``timeout`` keeps silent or a ``slow`` body takes. Raises ValueError for what makes no sense, a route that is
        not there included.
        """
        chosen = _checked_kind(kind, status)
        if times is not None and times < 1:
            raise ValueError("times is at least 1, or None for every request")
        if skip < 0:
            raise ValueError("skip is 0 or more")
        rule = _Scripted(self._matcher(route), _checked_fault(chosen, after, retry_after, seconds), times, skip)
        with self._lock:
            self._script = [*self._script, rule]

    def chance(
        self,
        probability: float,
        *,
        seed: int = 0,
        kinds: Iterable[str | int] | None = None,
        route: str = "* *",
        after: bool | None = None,
        retry_after: float | str | None = 0,
        silence_seconds: float = SECONDS["timeout"],
        slow_seconds: float = 0.2,
    ) -> None:
        """Let every request of a route fail with this probability; replaces the chance given before, 0 ends it.

        Kinds are drawn evenly from ``kinds`` (None: all of :data:`KINDS`), and where both make sense a coin decides
        whether the request is carried out first, unless ``after`` says so. The same ``seed`` and the same order of
        requests give the same faults. ``route`` as for :meth:`script`. Raises ValueError for what makes no sense.
        """
        if isinstance(probability, bool) or not 0 <= probability <= 1:
            raise ValueError("probability is a number from 0 to 1")
        drawn = tuple(_checked_kind(str(kind), None) for kind in (KINDS if kinds is None else kinds))
        if not drawn:
            raise ValueError("kinds needs at least one kind of fault")
        seconds = {"timeout": silence_seconds, "slow": slow_seconds}
        faults: dict[str, list[Fault]] = {}
        for kind in drawn:
            sides = [after] if after is not None and kind not in (*_ONLY_BEFORE, *_ONLY_AFTER) else _sides(kind)
            header = retry_after if kind in {"429", "503"} else None
            faults[kind] = [_checked_fault(kind, side, header, seconds.get(kind)) for side in sides]
        rule = _Chance(self._matcher(route), probability, random.Random(seed), list(faults.values()))  # noqa: S311 - for tests
        with self._lock:
            self._chance = rule if probability else None

    def clear(self) -> None:
        """Let everything go well again. The counts stay."""
        with self._lock:
            self._script, self._chance = [], None

    def draw(self, method: str, path: str) -> Fault | None:
        """The fault that a request meets, None for most. Counts it, and uses up a scripted one."""
        with self._lock:
            chosen = next((rule.fault for rule in self._script if rule.takes(method, path)), None)
            self._script = [rule for rule in self._script if rule.times != 0]
            if chosen is None and self._chance is not None:
                chosen = self._chance.draws(method, path)
            if chosen is not None:
                self._counts[chosen.kind] += 1
                self._after += chosen.after
        return chosen

    def summary(self) -> dict[str, Any]:
        """How many requests met a fault, by ``kinds`` and in ``total``; how many of them were ``carriedOut``; how many
        scripted rules are ``waiting``; and the ``probability`` of chance."""
        with self._lock:
            return {
                "total": sum(self._counts.values()),
                "carriedOut": self._after,
                "kinds": dict(sorted(self._counts.items())),
                "waiting": len(self._script),
                "probability": 0.0 if self._chance is None else self._chance.probability,
            }

    def _matcher(self, route: str) -> _Matcher:
        method, _, path = route.strip().partition(" ")
        method, path = method.upper(), path.strip()
        if not path:
            raise ValueError(f"a route is a method and a path, such as 'GET tasks/image', not {route!r}")
        if path.count("*") > _MOST_STARS:
            raise ValueError(f"a route has at most {_MOST_STARS} stars")
        absolute = path if path.startswith("/") else f"/v1/{path}"
        known = [one for one in self._routes if method in ("*", one[0])]
        if path == "*" and (known or not self._routes):
            return _Glob(method, re.compile(r"/(v1|files)/.*", re.DOTALL))
        if "*" in path:
            # a rule book that was told no routes has none to compare with
            if not self._routes or any(_fits(absolute, one[1]) for one in known):
                return _Glob(method, _stars(absolute))
        elif "{" in path:
            shape = _shape(absolute)
            exact = [one for one in known if _shape(one[1]) == shape]
            if exact:
                return _Template(method, shape, self._resolve)
        elif any(pattern.fullmatch(absolute) for _, _, pattern in known):
            return _Glob(method, re.compile(re.escape(absolute)))
        raise ValueError(f"the sandbox has no route {route!r}")

    def _resolve(self, method: str, path: str) -> str | None:
        """The shape of the endpoint that answers a request."""
        for verb, template, pattern in self._routes:
            if verb == method and pattern.fullmatch(path):
                return _shape(template)
        return None


class _Matcher:
    def matches(self, method: str, path: str) -> bool:
        raise NotImplementedError


@dataclass(frozen=True)
class _Glob(_Matcher):
    method: str
    path: re.Pattern[str]

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and self.path.fullmatch(path) is not None


@dataclass(frozen=True)
class _Template(_Matcher):
    method: str
    shape: str
    resolve: Any

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("*", method) and self.resolve(method, path) == self.shape


@dataclass
class _Scripted:
    matcher: _Matcher
    fault: Fault
    times: int | None
    skip: int

    def takes(self, method: str, path: str) -> bool:
        """Whether this rule is for the request; counts down."""
        if not self.matcher.matches(method, path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return True


@dataclass
class _Chance:
    matcher: _Matcher
    probability: float
    dice: random.Random
    faults: list[list[Fault]]

    def draws(self, method: str, path: str) -> Fault | None:
        if not self.matcher.matches(method, path) or self.dice.random() >= self.probability:
            return None
        return self.dice.choice(self.dice.choice(self.faults))


def _sides(kind: str) -> list[bool]:
    if kind in _ONLY_BEFORE:
        return [False]
    return [True] if kind in _ONLY_AFTER else [False, True]


def _checked_kind(kind: str | None, status: int | None) -> str:
    if (kind is None) == (status is None):
        raise ValueError("say what goes wrong: either kind or status")
    chosen = str(status) if kind is None else kind
    if chosen not in KINDS and not re.fullmatch("[45][0-9]{2}", chosen):
        raise ValueError(f"no such fault: {chosen!r}; there are {', '.join(KINDS)} and the statuses from 400 to 599")
    return chosen


def _checked_fault(kind: str, after: bool | None, retry_after: float | str | None, seconds: float | None) -> Fault:
    if after is None:
        after = kind in _ONLY_AFTER
    elif after not in _sides(kind):
        done = "was not carried out" if kind in _ONLY_BEFORE else "was carried out"
        raise ValueError(f"{kind} means that the request {done}")
    length = SECONDS.get(kind, 0.0) if seconds is None else seconds
    if isinstance(length, bool) or not 0 <= length < math.inf:
        raise ValueError("seconds is a number of 0 or more")
    header = None
    if retry_after is not None:
        header = retry_after if isinstance(retry_after, str) else str(math.ceil(retry_after))
        if not header.isascii() or not header.isprintable():
            raise ValueError("retry_after is a number of seconds or an HTTP date")
    return Fault(kind, bool(after), float(length), header)


@lru_cache(maxsize=1024)
def _shape(template: str) -> str:
    """A path with its parameters' names left out: ``/v1/tasks/image/{}``."""
    return re.sub(r"\{[^}]*\}", "{}", template)


def _pattern(template: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]*\})", template)
    return re.compile(
        "".join(
            re.escape(part) if not part.startswith("{") else (".+" if part.endswith(":path}") else "[^/]+")
            for part in parts
        ),
        re.DOTALL,
    )


def _stars(glob: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, glob.split("*"))), re.DOTALL)


def _fits(glob: str, template: str) -> bool:
    """Whether a path with stars is one of an endpoint's: its stars cover the endpoint's parameters
    (``/v1/tasks/*``), or it fills them in part by part (``/v1/tasks/image/7*``)."""
    if _stars(glob).fullmatch(template):
        return True
    given, parts = glob.split("/"), template.split("/")
    if parts[-1].endswith(":path}") and len(given) > len(parts):
        given = [*given[: len(parts) - 1], "/".join(given[len(parts) - 1 :])]
    return len(given) == len(parts) and all(
        part.startswith("{") or _stars(one).fullmatch(part) for one, part in zip(given, parts, strict=True)
    )
