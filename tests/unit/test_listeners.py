"""What waits for a listener is bounded, and one that is at its end harms nobody who tells it more; a server that does
not answer is not asked again at once."""

import pytest

from longshore.gateway.mcp.subscriptions.subscriber import Subscriber
from longshore.gateway.upstream.header_schemas import HeaderSchemas
from longshore.gateway.wire import changes
from longshore.gateway.wire.changes import ChangeFilter
from longshore.gateway.wire.tool_lists import Tool
from longshore.shared.errors import UpstreamDown


async def _nothing() -> None:
    return None


async def test_a_listener_that_has_ended_may_be_told_any_number_of_changes() -> None:
    listener = Subscriber(ChangeFilter(frozenset(), any_uri=True))
    await listener.keep_up(_nothing())

    for number in range(1_000):
        change = changes.parse_change(changes.resource_updated(f"sea://{number}"))
        assert change is not None
        listener.on_event(change)


async def test_a_list_that_cannot_be_had_is_not_asked_for_again_at_once() -> None:
    """Calls wait for it, one behind the other."""
    headers, asked = HeaderSchemas(), list[str]()

    async def listed() -> list[Tool]:
        asked.append("tools/list")
        raise UpstreamDown("it does not answer")

    with pytest.raises(UpstreamDown):
        await headers.refresh(listed, "")
    await headers.refresh(listed, "")

    assert asked == ["tools/list"]
