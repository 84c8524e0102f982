"""What the tools of one upstream want mirrored in headers, as far as its lists have told."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from longshore.gateway.wire import tool_lists
from longshore.gateway.wire.param_headers import Mirrored
from longshore.gateway.wire.tool_lists import Tool
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import LongshoreError

_AT_MOST_EVERY_S = 2.0       # however many calls come with headers that do not fit
_MOST_CALLERS = 1_000


@dataclass(slots=True)
class _Known:
    by_tool: dict[str, list[Mirrored]] = field(default_factory=dict)
    asked_s: float = -_AT_MOST_EVERY_S

    def learn(self, tools: Iterable[Tool]) -> list[str]:
        broken = []
        for name, wanted in tool_lists.mirrored_by(tools):
            if wanted:
                self.by_tool[name] = wanted
            else:
                self.by_tool.pop(name, None)
                if wanted is None:
                    broken.append(name)
        return broken


class ToolHeaders:
    """Looked up once a call. Learned from the probe, from lists that pass, and on doubt.

    `whose` is the caller whose own headers travel to the upstream, which may list other tools to it; "" where none
    do. What a caller's lists have not told yet is as the probe found it.
    """

    def __init__(self) -> None:
        self._everybodys = _Known()
        self._by_caller: OrderedDict[str, _Known] = OrderedDict()
        self._asking = asyncio.Lock()

    def of(self, tool: str, whose: str) -> list[Mirrored]:
        """What the tool wants mirrored; nothing where it wants nothing or is not known."""
        known = self._by_caller.get(whose, self._everybodys) if whose else self._everybodys
        return known.by_tool.get(tool, [])

    def replace(self, tools: Iterable[Tool], whose: str) -> list[str]:
        """Take over a whole list. The tools that clients must not use."""
        known = self._known(whose)
        known.by_tool = {}
        return known.learn(tools)

    def learn(self, tools: Iterable[Tool], whose: str) -> None:
        """Take over a page of a list."""
        self._known(whose).learn(tools)

    async def refresh(self, listed: Callable[[], Awaitable[list[Tool]]], whose: str) -> None:
        """Ask for the list anew, once however many want it at once; what was asked for a moment ago holds."""
        async with self._asking:
            if monotonic_s() - self._known(whose).asked_s < _AT_MOST_EVERY_S:
                return
            try:
                self.replace(await listed(), whose)
            except LongshoreError:   # one that does not answer is not asked for each of many calls
                self._known(whose).asked_s = monotonic_s()
                raise
            self._known(whose).asked_s = monotonic_s()

    def _known(self, whose: str) -> _Known:
        if not whose:
            return self._everybodys
        if whose not in self._by_caller:
            self._by_caller[whose] = _Known(dict(self._everybodys.by_tool))
            while len(self._by_caller) > _MOST_CALLERS:
                self._by_caller.popitem(last=False)
        self._by_caller.move_to_end(whose)
        return self._by_caller[whose]
