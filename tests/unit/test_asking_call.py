"""Messages that a suspended call keeps for its client."""

import pytest

from longshore.gateway.mcp.input_requests.suspended_call import Ended, Request, SuspendableCall
from longshore.gateway.wire.server_requests import NO_INPUT
from longshore.shared.errors import CallLost
from longshore.shared.state.sessions import Caller

_LARGE = Ended(b"x" * 100_000)


def _call() -> SuspendableCall:
    async def reply(_: bytes) -> None:
        """Does nothing."""

    return SuspendableCall(Request(Caller("scope", "s1", "me"), "tools/call", b"{}"), NO_INPUT, reply)


async def test_a_listener_gets_an_answer_of_any_size() -> None:
    call = _call()

    call.end(_LARGE)

    assert await call.heard() == _LARGE


async def test_a_large_answer_is_not_kept_while_nobody_listens() -> None:
    call = _call()
    call.park()

    call.end(_LARGE)

    with pytest.raises(CallLost, match="too much to be kept"):
        await call.heard()


async def test_a_small_answer_is_kept_for_a_client_that_is_away() -> None:
    call, small = _call(), Ended(b"{}")
    call.park()

    call.end(small)

    assert await call.heard() == small
