"""`x-mcp-header` declarations of one upstream's tools, learned from its tool lists."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from longshore.gateway.wire import tool_lists
from longshore.gateway.wire.param_headers import MirroredArgument
from longshore.gateway.wire.tool_lists import Tool
from longshore.shared.clock import monotonic_s
from longshore.shared.errors import LongshoreError

_MIN_REFRESH_S = 2.0         # between two requests of the list, however many calls need it
_MAX_CALLERS = 1_000


@dataclass(slots=True)
class _Schemas:
    by_tool: dict[str, list[MirroredArgument]] = field(default_factory=dict)
    refreshed_s: float = -_MIN_REFRESH_S

    def learn(self, tools: Iterable[Tool]) -> list[str]:
        broken = []
        for name, mirrored in tool_lists.mirrored_arguments(tools):
            if mirrored:
                self.by_tool[name] = mirrored
            else:
                self.by_tool.pop(name, None)
                if mirrored is None:
                    broken.append(name)
        return broken


class HeaderSchemas:
    """Mirrored arguments by tool, read once per call. Learned from the probe, from forwarded lists, and on a mismatch.

    `caller` names a caller whose own headers reach the upstream, which may list other tools to it; "" for all others.
    A caller's entry starts as a copy of the probe's.
    """

    def __init__(self) -> None:
        self._shared = _Schemas()
        self._by_caller: OrderedDict[str, _Schemas] = OrderedDict()
        self._refreshing = asyncio.Lock()

    @property
    def is_empty(self) -> bool:
        """True while no tool is known to want arguments mirrored."""
        return not self._shared.by_tool and not self._by_caller

    def of(self, tool: str, caller: str) -> list[MirroredArgument]:
        """Look up the mirrored arguments of a tool; none for an unknown tool."""
        known = self._by_caller.get(caller, self._shared) if caller else self._shared
        return known.by_tool.get(tool, [])

    def replace(self, tools: Iterable[Tool], caller: str) -> list[str]:
        """Store a complete list. Returns the tools whose declarations are malformed, which clients must not use."""
        known = self._of_caller(caller)
        known.by_tool = {}
        return known.learn(tools)

    def learn(self, tools: Iterable[Tool], caller: str) -> None:
        """Add the tools of one page of a list."""
        self._of_caller(caller).learn(tools)

    async def refresh(self, list_tools: Callable[[], Awaitable[list[Tool]]], caller: str) -> None:
        """Request the list again. Concurrent calls share one request; a list younger than 2 s is kept."""
        async with self._refreshing:
            if monotonic_s() - self._of_caller(caller).refreshed_s < _MIN_REFRESH_S:
                return
            try:
                self.replace(await list_tools(), caller)
            except LongshoreError:   # a server that does not respond is not asked once per call
                self._of_caller(caller).refreshed_s = monotonic_s()
                raise
            self._of_caller(caller).refreshed_s = monotonic_s()

    def _of_caller(self, caller: str) -> _Schemas:
        if not caller:
            return self._shared
        if caller not in self._by_caller:
            self._by_caller[caller] = _Schemas(dict(self._shared.by_tool))
            while len(self._by_caller) > _MAX_CALLERS:
                self._by_caller.popitem(last=False)
        self._by_caller.move_to_end(caller)
        return self._by_caller[caller]
