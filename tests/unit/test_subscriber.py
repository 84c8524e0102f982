"""The queue of a subscriber is bounded, and a subscriber that has ended accepts further changes; a server that does not
respond is not asked again at once."""

import pytest

from longshore.gateway.mcp.subscriptions.subscriber import Subscriber
from longshore.gateway.upstream.header_schemas import HeaderSchemas
from longshore.gateway.wire import changes
from longshore.gateway.wire.changes import ChangeFilter
from longshore.gateway.wire.tool_lists import Tool
from longshore.shared.errors import UpstreamDown


async def _nothing() -> None:
    return None


async def test_a_subscriber_that_has_ended_accepts_any_number_of_changes() -> None:
    listener = Subscriber(ChangeFilter(frozenset(), any_uri=True))
    await listener.send_changes(_nothing())

    for number in range(1_000):
        change = changes.parse_change(changes.resource_updated(f"sea://{number}"))
        assert change is not None
        listener.on_change(change)


async def test_a_list_that_fails_is_not_requested_again_at_once() -> None:
    """Calls wait for the refresh, one after the other."""
    headers, asked = HeaderSchemas(), list[str]()

    async def listed() -> list[Tool]:
        asked.append("tools/list")
        raise UpstreamDown("it does not answer")

    with pytest.raises(UpstreamDown):
        await headers.refresh(listed, "")
    await headers.refresh(listed, "")

    assert asked == ["tools/list"]
