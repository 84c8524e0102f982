"""One-time links: claimed by exactly one transfer, closed by its success, released by its failure."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from longshore.shared.errors import Forbidden
from longshore.shared.ids import new_id, new_session_id
from longshore.shared.state.grants import GrantStore
from longshore.shared.state.resumable import ResumableStore, ResumableUpload
from tests.fixtures.storage import RedisServer, State, opened_state

_TTL_MS = 60_000


@pytest.fixture
async def other(server: RedisServer) -> AsyncIterator[State]:
    async with opened_state(server.address) as opened:
        yield opened


def _store(state: State) -> GrantStore:
    return GrantStore(state.link, state.keys)


async def _claim(store: GrantStore, nonce: str, scope: str, *, server: str = "s1") -> None:
    await store.claim(nonce, scope=scope, server=server, ttl_ms=_TTL_MS)


async def test_exactly_one_of_fifty_transfers_gets_the_link(state: State, other: State) -> None:
    scope, nonce, stores = await state.open_session(), new_id(), [_store(state), _store(other)]

    outcomes = await asyncio.gather(*(_claim(stores[n % 2], nonce, scope) for n in range(50)), return_exceptions=True)

    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, Forbidden) for outcome in outcomes) == 49


async def test_a_link_is_for_one_request_or_for_a_batch(state: State, other: State) -> None:
    """The first claim decides which."""
    scope, nonce, stores = await state.open_session(), new_id(), [_store(state), _store(other)]

    outcomes = await asyncio.gather(
        *(
            stores[n % 2].claim(nonce, scope=scope, server="s1", ttl_ms=_TTL_MS, batch=n % 3 != 0)
            for n in range(1, 61)
        ),
        return_exceptions=True,
    )

    assert outcomes.count(None) == 40
    assert [isinstance(outcomes[n - 1], Forbidden) for n in range(3, 61, 3)] == [True] * 20


async def test_a_batch_is_complete_when_none_of_it_is_open(state: State) -> None:
    scope, nonce, store = await state.open_session(), new_id(), _store(state)
    for _ in range(3):
        await store.claim(nonce, scope=scope, server="s1", ttl_ms=_TTL_MS, batch=True)

    await asyncio.gather(*(store.spend(nonce, ["f" * 22]) for _ in range(5)))
    await store.release(nonce)
    assert not (await store.link_use(nonce)).is_complete
    await store.spend(nonce, ["g" * 22])

    used = await store.link_use(nonce)
    assert (used.is_complete, used.scope, used.file_ids) == (True, scope, ("f" * 22, "g" * 22))


async def test_a_batch_that_is_released_whole_is_a_fresh_link(state: State) -> None:
    scope, nonce, store = await state.open_session(), new_id(), _store(state)
    for _ in range(2):
        await store.claim(nonce, scope=scope, server="s1", ttl_ms=_TTL_MS, batch=True)
    for _ in range(2):
        await store.release(nonce)

    await _claim(store, nonce, scope)


async def test_links_are_independent(state: State) -> None:
    scope, store = await state.open_session(), _store(state)

    outcomes = await asyncio.gather(*(_claim(store, new_id(), scope) for _ in range(20)))

    assert outcomes == [None] * 20


async def test_a_spent_link_stays_spent(state: State) -> None:
    scope, nonce, store = await state.open_session(), new_id(), _store(state)
    await _claim(store, nonce, scope)

    await asyncio.gather(*(store.spend(nonce) for _ in range(3)))

    with pytest.raises(Forbidden, match="used before"):
        await _claim(store, nonce, scope)
    assert await state.link.call("PTTL", state.keys.grant(nonce)) > _TTL_MS


async def test_a_link_in_use_is_refused(state: State) -> None:
    scope, nonce, store = await state.open_session(), new_id(), _store(state)
    await _claim(store, nonce, scope)

    with pytest.raises(Forbidden, match="in use"):
        await _claim(store, nonce, scope)


async def test_a_released_link_is_claimed_by_exactly_one_transfer(state: State, other: State) -> None:
    scope, nonce, stores = await state.open_session(), new_id(), [_store(state), _store(other)]
    await _claim(stores[0], nonce, scope)
    await stores[0].release(nonce)
    await stores[0].release(nonce)

    outcomes = await asyncio.gather(*(_claim(stores[n % 2], nonce, scope) for n in range(50)), return_exceptions=True)

    assert outcomes.count(None) == 1


async def test_spending_claims_nothing(state: State) -> None:
    """A link that was released, or never claimed, is not closed by a late call."""
    scope, nonce, store = await state.open_session(), new_id(), _store(state)

    await store.spend(nonce)

    assert await state.link.call("EXISTS", state.keys.grant(nonce)) == 0
    await _claim(store, nonce, scope)


@pytest.mark.parametrize("case", ["ended", "unknown", "other server"])
async def test_a_link_ends_with_its_session(state: State, case: str) -> None:
    scope, nonce, store = await state.open_session(), new_id(), _store(state)
    if case == "ended":
        await state.end_session(scope)

    with pytest.raises(Forbidden, match="session"):
        await _claim(
            store, nonce, new_id() if case == "unknown" else scope, server="s2" if case == "other server" else "s1"
        )

    assert await state.link.call("EXISTS", state.keys.grant(nonce)) == 0


async def test_an_unused_link_has_no_key(state: State) -> None:
    scope, nonce, store = await state.open_session(), new_id(), _store(state)
    before = set(await state.link.call("KEYS", "*"))

    await _claim(store, nonce, scope)
    await store.release(nonce)

    assert set(await state.link.call("KEYS", "*")) == before


async def _begun(state: State, nonce: str, scope: str) -> tuple[str, str]:
    """A resumable upload of the link's batch: its capability and the id of its file."""
    capability, file_id = new_session_id(), new_id()
    await _store(state).claim(nonce, scope=scope, server="s1", ttl_ms=_TTL_MS, batch=True)
    upload = ResumableUpload(
        file_id=file_id, scope=scope, server="s1", name="a", media_type="", size_bytes=3, nonce=nonce
    )
    await ResumableStore(state.link, state.keys, ttl_ms=_TTL_MS).create(capability, upload)
    return capability, file_id


async def test_a_lapsed_upload_of_a_batch_is_released(state: State, other: State) -> None:
    """Once, however many readers: one of three lapses, one is finished and one continues."""
    scope, nonce, stores = await state.open_session(), new_id(), [_store(state), _store(other)]
    lapsed, (finished, file_id), going_on = [await _begun(state, nonce, scope) for _ in range(3)]
    await stores[0].spend(nonce, [file_id])
    await state.link.call("DEL", state.keys.resumable(lapsed[0]), state.keys.resumable(finished))

    seen = await asyncio.gather(*(stores[n % 2].link_use(nonce) for n in range(20)))

    assert {(use.is_complete, use.file_ids) for use in seen} == {(False, (file_id,))}
    assert await state.link.call("HMGET", state.keys.grant(nonce), "begun", "open") == [b"2", b"1"]
    await state.link.call("DEL", state.keys.resumable(going_on[0]))
    assert (await stores[0].link_use(nonce)).is_complete


async def test_a_batch_that_lapsed_whole_is_a_fresh_link(state: State) -> None:
    scope, nonce, store = await state.open_session(), new_id(), _store(state)
    capability, _ = await _begun(state, nonce, scope)
    with pytest.raises(Forbidden, match="in use"):
        await _claim(store, nonce, scope)
    await state.link.call("DEL", state.keys.resumable(capability))

    await _claim(store, nonce, scope)

    assert (await store.link_use(nonce)).scope == scope


async def test_a_full_batch_takes_another_upload_in_place_of_one_that_lapsed(state: State) -> None:
    scope, nonce = await state.open_session(), new_id()
    begun = [await _begun(state, nonce, scope) for _ in range(100)]
    with pytest.raises(Forbidden, match="used before"):
        await _begun(state, nonce, scope)
    await state.link.call("DEL", state.keys.resumable(begun[7][0]))

    await _begun(state, nonce, scope)

    with pytest.raises(Forbidden, match="used before"):
        await _begun(state, nonce, scope)


async def test_a_terminated_upload_is_released_once(state: State) -> None:
    scope, nonce, store = await state.open_session(), new_id(), _store(state)
    capability, _ = await _begun(state, nonce, scope)
    await _begun(state, nonce, scope)
    await state.link.call("DEL", state.keys.resumable(capability))

    await asyncio.gather(*(store.release(nonce, capability=capability) for _ in range(5)), store.link_use(nonce))

    assert await state.link.call("HMGET", state.keys.grant(nonce), "begun", "open") == [b"1", b"1"]


async def test_an_upload_with_an_unknown_outcome_is_not_released_when_it_lapses(state: State) -> None:
    """Its file may exist: another upload in its place could exceed the limit."""
    scope, nonce, store = await state.open_session(), new_id(), _store(state)
    capability, _ = await _begun(state, nonce, scope)
    await store.keep_place(nonce, capability)
    await state.link.call("DEL", state.keys.resumable(capability))

    with pytest.raises(Forbidden, match="in use"):
        await _claim(store, nonce, scope)
    await store.release(nonce, capability=capability)

    await _claim(store, nonce, scope)


async def test_keeping_a_place_creates_no_link(state: State) -> None:
    await _store(state).keep_place(nonce := new_id(), new_session_id())

    assert await state.link.call("EXISTS", state.keys.grant(nonce)) == 0
