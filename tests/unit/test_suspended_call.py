"""Output that a suspended call keeps for its client."""

from contextlib import ExitStack

import pytest

from longshore.gateway.mcp.input_requests.suspended_call import Finished, OriginalRequest, SuspendableCall
from longshore.gateway.wire.server_requests import NO_INPUT
from longshore.shared.errors import CallLost
from longshore.shared.state.sessions import Caller

_LARGE = Finished(b"x" * 100_000)


def _call() -> SuspendableCall:
    async def respond(_: bytes) -> None:
        """Nothing: the server requests no input."""

    return SuspendableCall(OriginalRequest(Caller("scope", "s1", "me"), "tools/call", b"{}"), NO_INPUT, respond)


async def test_an_attached_client_gets_a_result_of_any_size() -> None:
    call = _call()

    call.finish(_LARGE)

    assert await call.next_output() == _LARGE


async def test_a_large_result_of_a_suspended_call_is_dropped() -> None:
    call = _call()
    call.suspend(ExitStack())

    call.finish(_LARGE)

    with pytest.raises(CallLost, match="too much to be kept"):
        await call.next_output()


async def test_a_small_result_of_a_suspended_call_is_kept() -> None:
    call, small = _call(), Finished(b"{}")
    call.suspend(ExitStack())

    call.finish(small)

    assert await call.next_output() == small
