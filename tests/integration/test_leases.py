"""Leases of running calls, renewed while the calls run."""

from longshore.gateway.mcp.sessions.leases import Leases
from longshore.shared.ids import new_id
from longshore.shared.state.sessions import SessionLimits, SessionStore
from tests.fixtures.storage import State

_HOUR_MS = 3_600_000


async def test_the_reservation_of_an_artifact_is_renewed_while_its_call_runs(state: State) -> None:
    """A call may wait for its client, so that its length has no limit."""
    scope, artifact_id, lease = await state.open_session(), new_id(), new_id()
    leases = Leases(SessionStore(state.link, state.keys, SessionLimits()), state.files)
    member = f"p:{scope}:{artifact_id}"
    leases.acquire(scope, lease)

    await leases.reserve(scope, lease, artifact_id, grace_ms=_HOUR_MS)
    await state.link.call("ZADD", state.keys.due(), 1, member)
    await leases.renew()
    while_running = float(await state.link.call("ZSCORE", state.keys.due(), member))
    leases.release(scope, lease)
    await state.link.call("ZADD", state.keys.due(), 1, member)
    await leases.renew()
    after = float(await state.link.call("ZSCORE", state.keys.due(), member))

    assert while_running > 1
    assert after == 1
