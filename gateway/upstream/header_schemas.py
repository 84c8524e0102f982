"""What the tools of one upstream want mirrored in headers, as far as its lists have told."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from longshore.gateway.wire import tool_lists
from longshore.gateway.wire.param_headers import MirroredArgument
from longshore.gateway.wire.tool_lists import Tool
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import LongshoreError

_MIN_REFRESH_S = 2.0       # however many calls come with headers that do not fit
_MAX_CALLERS = 1_000


@dataclass(slots=True)
class _Schemas:
    by_tool: dict[str, list[MirroredArgument]] = field(default_factory=dict)
    asked_s: float = -_MIN_REFRESH_S

    def learn(self, tools: Iterable[Tool]) -> list[str]:
        broken = []
        for name, wanted in tool_lists.mirrored_arguments(tools):
            if wanted:
                self.by_tool[name] = wanted
            else:
                self.by_tool.pop(name, None)
                if wanted is None:
                    broken.append(name)
        return broken


class HeaderSchemas:
    """Looked up once a call. Learned from the probe, from lists that pass, and on doubt.

    `whose` is the caller whose own headers travel to the upstream, which may list other tools to it; "" where none
    do. What a caller's lists have not told yet is as the probe found it.
    """

    def __init__(self) -> None:
        self._shared = _Schemas()
        self._by_caller: OrderedDict[str, _Schemas] = OrderedDict()
        self._refreshing = asyncio.Lock()

    def of(self, tool: str, caller: str) -> list[MirroredArgument]:
        """What the tool wants mirrored; nothing where it wants nothing or is not known."""
        known = self._by_caller.get(caller, self._shared) if caller else self._shared
        return known.by_tool.get(tool, [])

    def replace(self, tools: Iterable[Tool], caller: str) -> list[str]:
        """Take over a whole list. The tools that clients must not use."""
        known = self._of_caller(caller)
        known.by_tool = {}
        return known.learn(tools)

    def learn(self, tools: Iterable[Tool], caller: str) -> None:
        """Take over a page of a list."""
        self._of_caller(caller).learn(tools)

    async def refresh(self, list_tools: Callable[[], Awaitable[list[Tool]]], caller: str) -> None:
        """Ask for the list anew, once however many want it at once; what was asked for a moment ago holds."""
        async with self._refreshing:
            if monotonic_s() - self._of_caller(caller).asked_s < _MIN_REFRESH_S:
                return
            try:
                self.replace(await list_tools(), caller)
            except LongshoreError:   # one that does not answer is not asked for each of many calls
                self._of_caller(caller).asked_s = monotonic_s()
                raise
            self._of_caller(caller).asked_s = monotonic_s()

    def _of_caller(self, caller: str) -> _Schemas:
        if not caller:
            return self._shared
        if caller not in self._by_caller:
            self._by_caller[caller] = _Schemas(dict(self._shared.by_tool))
            while len(self._by_caller) > _MAX_CALLERS:
                self._by_caller.popitem(last=False)
        self._by_caller.move_to_end(caller)
        return self._by_caller[caller]
