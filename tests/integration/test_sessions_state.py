"""State of sessions: every script raced over the connections of two gateways, every result distinguished."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from longshore.shared.errors import SessionConflict, SessionGone, TooMany
from longshore.shared.ids import new_id, new_session_id
from longshore.shared.state.files import UsedBytes
from longshore.shared.state.sessions import Caller, OpenSession, SessionLimits, SessionStart, SessionStore
from tests.fixtures.storage import RedisServer, State, opened_state, upload_record


@pytest.fixture
async def other(server: RedisServer) -> AsyncIterator[State]:
    """Another gateway's connection to the same Redis."""
    async with opened_state(server.address) as opened:
        yield opened


def _store(state: State, limits: SessionLimits | None = None) -> SessionStore:
    return SessionStore(state.link, state.keys, limits or SessionLimits())


def _start(session_id: str | None = None, *, principal: str = "me") -> SessionStart:
    return SessionStart(
        session_id=session_id or new_session_id(), server="s1", principal=principal, upstream_id="up-1",
        protocol="2025-11-25", flags="tr", init_params=b"{}", callers_scope="p" + "c" * 32,
    )


async def _live(store: SessionStore) -> Caller:
    start = _start()
    await store.create(start)
    return Caller(start.session_id, start.server, start.principal)


async def test_racing_creations_never_pass_the_limit(state: State, other: State) -> None:
    """Twenty at once with a limit of five."""
    limits = SessionLimits(max_active=5)
    stores = [_store(state, limits), _store(other, limits)]

    outcomes = await asyncio.gather(*(stores[n % 2].create(_start()) for n in range(20)), return_exceptions=True)

    assert outcomes.count(None) == 5
    assert sum(isinstance(outcome, TooMany) for outcome in outcomes) == 15
    assert await state.link.call("ZCARD", state.keys.sessions()) == 5


async def test_an_ended_session_makes_room(state: State) -> None:
    store = _store(state, SessionLimits(max_active=1))
    first = await _live(store)
    with pytest.raises(TooMany, match="1 sessions are active"):
        await store.create(_start())

    await store.end(first, reason="done")

    await store.create(_start())


async def test_an_id_is_taken_once(state: State, other: State) -> None:
    session_id = new_session_id()
    starts = [_start(session_id, principal=f"p{n}") for n in range(10)]
    stores = [_store(state), _store(other)]

    outcomes = await asyncio.gather(
        *(stores[n % 2].create(start) for n, start in enumerate(starts)), return_exceptions=True
    )

    assert outcomes.count(None) == 1
    winner = starts[outcomes.index(None)]
    await _store(state).open_call(Caller(session_id, "s1", winner.principal))


async def test_another_gateway_sees_a_session_at_once(state: State, other: State) -> None:
    caller = await _live(_store(state))

    found = await _store(other).open_call(caller)

    assert found == OpenSession(upstream_id="up-1", protocol="2025-11-25", flags="tr")


async def test_racing_calls_never_pass_the_limit(state: State, other: State) -> None:
    """Fifty at once with a limit of seven."""
    limits = SessionLimits(max_in_flight=7)
    stores = [_store(state, limits), _store(other, limits)]
    caller = await _live(stores[0])

    outcomes = await asyncio.gather(
        *(stores[n % 2].open_call(caller, lease=new_id()) for n in range(50)), return_exceptions=True
    )

    assert sum(isinstance(outcome, OpenSession) for outcome in outcomes) == 7
    assert sum(isinstance(outcome, TooMany) for outcome in outcomes) == 43


async def test_a_released_lease_makes_room(state: State) -> None:
    store = _store(state, SessionLimits(max_in_flight=1))
    caller = await _live(store)
    await store.open_call(caller, lease="a" * 22)
    with pytest.raises(TooMany, match="1 calls"):
        await store.open_call(caller, lease="b" * 22)

    store.release_call(caller.session_id, "a" * 22)
    store.release_call(caller.session_id, "a" * 22)

    await store.open_call(caller, lease="b" * 22)


async def test_requests_without_lease_have_no_limit(state: State) -> None:
    store = _store(state, SessionLimits(max_in_flight=1))
    caller = await _live(store)
    await store.open_call(caller, lease="a" * 22)

    for _ in range(5):
        await store.open_call(caller)

    assert await state.link.call("ZCARD", state.keys.leases(caller.session_id)) == 1


async def test_the_same_lease_counts_once(state: State) -> None:
    """A call whose reply was lost is repeated."""
    store = _store(state, SessionLimits(max_in_flight=2))
    caller = await _live(store)

    await asyncio.gather(*(store.open_call(caller, lease="a" * 22) for _ in range(2)))

    await store.open_call(caller, lease="b" * 22)
    assert await state.link.call("ZCARD", state.keys.leases(caller.session_id)) == 2


async def test_leases_of_a_killed_gateway_lapse(state: State) -> None:
    store = _store(state, SessionLimits(max_in_flight=1, lease_ms=50))
    caller = await _live(store)
    await store.open_call(caller, lease="a" * 22)

    async with asyncio.timeout(20):
        while True:
            try:
                await store.open_call(caller, lease="b" * 22)
            except TooMany:
                await asyncio.sleep(0.01)
            else:
                break

    assert await state.link.call("ZRANGE", state.keys.leases(caller.session_id), 0, -1) == [b"b" * 22]


async def test_a_renewed_lease_still_counts(state: State) -> None:
    caller = await _live(_store(state))
    short = _store(state, SessionLimits(max_in_flight=1, lease_ms=1))
    long = _store(state, SessionLimits(max_in_flight=1, lease_ms=60_000))
    await short.open_call(caller, lease="a" * 22)

    await long.renew_call(caller.session_id, "a" * 22)

    clock = await state.link.call("TIME")
    lapses_ms = int(await state.link.call("ZSCORE", state.keys.leases(caller.session_id), "a" * 22))
    assert lapses_ms > int(clock[0]) * 1000 + 30_000
    with pytest.raises(TooMany):
        await long.open_call(caller, lease="b" * 22)


async def test_renewing_restores_no_lapsed_lease(state: State) -> None:
    store = _store(state)
    caller = await _live(store)
    await store.open_call(caller, lease="a" * 22)
    await store.end(caller, reason="done")

    await store.renew_call(caller.session_id, "a" * 22)

    assert await state.link.call("EXISTS", state.keys.leases(caller.session_id)) == 0


@pytest.mark.parametrize("change", [{"principal": "you"}, {"principal": ""}])
async def test_another_caller_gets_a_conflict(state: State, change: dict[str, str]) -> None:
    store = _store(state)
    caller = replace(await _live(store), **change)

    with pytest.raises(SessionConflict, match="another caller"):
        await store.open_call(caller, lease=new_id())

    assert await state.link.call("EXISTS", state.keys.leases(caller.session_id)) == 0


async def test_another_caller_cannot_end_it(state: State) -> None:
    store = _store(state)
    caller = await _live(store)

    with pytest.raises(SessionConflict):
        await store.end(replace(caller, principal="you"), reason="mine now")

    await store.open_call(caller)


async def test_the_operator_can(state: State) -> None:
    store = _store(state)
    caller = await _live(store)

    ended = await store.end(replace(caller, principal=""), reason="ended by the operator")

    assert ended.upstream_id == "up-1"
    with pytest.raises(SessionGone, match="ended by the operator"):
        await store.open_call(caller)


async def test_a_session_does_not_exist_on_another_server(state: State) -> None:
    store = _store(state)
    elsewhere = replace(await _live(store), server="s2")

    for asked in (store.open_call(elsewhere), store.end(elsewhere, reason="x")):
        with pytest.raises(SessionGone, match="no session of this id"):
            await asked


async def test_an_unknown_session_is_not_found(state: State) -> None:
    store = _store(state)
    caller = Caller(new_session_id(), "s1", "me")

    for asked in (store.open_call(caller), store.end(caller, reason="x")):
        with pytest.raises(SessionGone, match="no session of this id"):
            await asked


async def test_only_the_caller_of_an_ended_session_gets_the_reason(state: State) -> None:
    store = _store(state)
    caller = await _live(store)
    await store.end(caller, reason="ended by the client")

    with pytest.raises(SessionGone, match="ended by the client"):
        await store.open_call(caller)
    with pytest.raises(SessionGone, match="no session of this id"):
        await store.open_call(replace(caller, principal="you"))


async def test_an_invalidated_session_is_a_conflict(state: State) -> None:
    """A client must not continue silently after one."""
    store = _store(state)
    caller = await _live(store)
    await store.end(caller, reason="a tool changed", invalidate=True)

    with pytest.raises(SessionConflict, match="a tool changed"):
        await store.open_call(caller)
    with pytest.raises(SessionGone):
        await store.end(caller, reason="again")


async def test_a_session_ends_once(state: State, other: State) -> None:
    stores = [_store(state), _store(other)]
    caller = await _live(stores[0])

    outcomes = await asyncio.gather(
        *(stores[n % 2].end(caller, reason=f"by {n}") for n in range(20)), return_exceptions=True
    )

    assert sum(isinstance(outcome, OpenSession) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, SessionGone) for outcome in outcomes) == 19


async def test_no_call_starts_after_the_end(state: State, other: State) -> None:
    """Calls and an end at once: later calls are refused, and no lease is left behind."""
    for _ in range(10):
        caller = await _live(_store(state))
        ending, calling = _store(state), _store(other)

        *calls, _ended = await asyncio.gather(
            *(calling.open_call(caller, lease=new_id()) for _ in range(10)), ending.end(caller, reason="done"),
            return_exceptions=True,
        )

        assert all(isinstance(outcome, OpenSession | SessionGone) for outcome in calls)
        assert await state.link.call("EXISTS", state.keys.leases(caller.session_id)) == 0
        with pytest.raises(SessionGone):
            await calling.open_call(caller, lease=new_id())


async def test_the_end_releases_every_byte(state: State) -> None:
    store = _store(state)
    one, two = await _live(store), await _live(store)
    for caller in (one, two):
        records = [upload_record(caller.session_id, size_bytes=size) for size in (1, 10, 100)]
        await state.files.commit(caller.session_id, records, ttl_ms=60_000)
    assert await state.files.used_bytes(one.session_id) == UsedBytes(scope=111, total=222)

    await store.end(one, reason="done")

    assert await state.files.used_bytes(one.session_id) == UsedBytes(scope=0, total=111)
    assert await state.files.used_bytes(two.session_id) == UsedBytes(scope=111, total=111)
    members = await state.link.call("ZRANGE", state.keys.due(), 0, -1)
    assert not [member for member in members if one.session_id.encode() in member]


async def test_files_that_race_the_end_are_charged_or_refused_but_never_both(state: State, other: State) -> None:
    for _ in range(5):
        store = _store(state)
        caller = await _live(store)
        scope = caller.session_id

        await asyncio.gather(
            *(other.files.commit(scope, [upload_record(scope, size_bytes=7)], ttl_ms=60_000) for _ in range(10)),
            store.end(caller, reason="done"),
            return_exceptions=True,
        )

        assert await state.files.used_bytes(scope) == UsedBytes(scope=0, total=0)
        assert await state.link.call("EXISTS", state.keys.files(scope)) == 0


async def test_only_a_tombstone_stays_and_not_for_ever(state: State) -> None:
    store = _store(state, SessionLimits(idle_ttl_ms=60_000, tombstone_ttl_ms=5_000))
    caller = await _live(store)

    await store.end(caller, reason="done")

    stored = await state.link.call("HGETALL", state.keys.session(caller.session_id))
    assert not {b"init", b"upstream"} & set(stored[::2])
    assert 0 < await state.link.call("PTTL", state.keys.session(caller.session_id)) <= 5_000
    assert await state.link.call("EXISTS", state.keys.sessions(), state.keys.due()) == 0
