"""Connections to Redis: for commands, for messages and for the job queue."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from longshore.shared.errors import StoreDown
from longshore.shared.jobs import UploadsDone
from longshore.shared.metrics import Metrics
from longshore.shared.redis.address import RedisAddress, UnsuitableRedis, parse_redis_url
from longshore.shared.redis.connection import RedisLink
from longshore.shared.redis.subscription import Subscription
from longshore.shared.state.reconciliation import last_pass
from longshore.shared.tasks import Tasks
from longshore.storage_worker.arq_pool import arq_pool
from longshore.storage_worker.worker import running_worker
from tests.fixtures.certificates import self_signed
from tests.fixtures.processes import REPOSITORY, free_port
from tests.fixtures.redis_servers import Server, behind_tls, server
from tests.fixtures.storage import KEY_BASE, opened_blobs, opened_queue, opened_state, upload_order, worker_config

_ACL = ("user default off", "user app on >s3cret: ~* &* +@all -@dangerous")


@asynccontextmanager
async def linked(address: RedisAddress) -> AsyncIterator[RedisLink]:
    tasks = Tasks()
    link = RedisLink(address, tasks)
    try:
        yield link
    finally:
        await link.close()
        await tasks.close()


@asynccontextmanager
async def subscribed(address: RedisAddress) -> AsyncIterator[tuple[Subscription, "asyncio.Queue[bytes]"]]:
    tasks, messages = Tasks(), asyncio.Queue[bytes]()
    subscription = Subscription(
        address, ["news"], tasks, on_message=messages.put_nowait, on_ready=lambda: None
    )
    try:
        yield subscription, messages
    finally:
        await subscription.close()
        await tasks.close()


async def assert_usable(address: RedisAddress) -> None:
    """Commands, messages and the queue's own connections all arrive at the same database."""
    async with linked(address) as link, subscribed(address) as (subscription, messages):
        await link.require_suitable()
        assert await link.call("SET", "key", "value") == b"OK"
        pool = arq_pool(address, "queue")
        assert await pool.get("key") == b"value"
        await pool.aclose(close_connection_pool=True)
        assert await subscription.await_ready(5)
        await link.call("PUBLISH", "news", "hello")
        assert await asyncio.wait_for(messages.get(), 5) == b"hello"


async def test_a_user_with_limited_rights_in_a_database_of_its_own() -> None:
    async with server(*_ACL) as running:
        address = RedisAddress(host="127.0.0.1", port=running.port, db=3, username="app", password="s3cret:")

        await assert_usable(address)

        async with linked(replace(address, db=0)) as link:
            assert await link.call("GET", "key") is None


async def test_the_rights_that_the_documentation_names_are_enough(tmp_path: Path) -> None:
    """A whole worker and a gateway's side of the queue, with that user alone."""
    text = (REPOSITORY / "docs" / "deployment.md").read_text()
    [rights] = [line for line in text.splitlines() if line.startswith("user longshore ")]
    async with server("user default off", rights.replace("longshore:*", f"{KEY_BASE}:*")) as running:
        url = f"redis://longshore:password@127.0.0.1:{running.port}"
        config = worker_config(url, tmp_path, cleanup_interval_s=1)
        async with (
            running_worker(config, Metrics().worker), opened_state(parse_redis_url(url)) as state,
            opened_queue(state) as queue, opened_blobs(tmp_path) as blobs,
        ):
            outcome = await queue.run(await upload_order(blobs, await state.open_session(), b"one"), timeout_s=10)
            async with asyncio.timeout(10):
                while await last_pass(state.link, state.keys) is None:
                    await asyncio.sleep(0.05)

    assert isinstance(outcome, UploadsDone)


async def test_a_user_without_a_password() -> None:
    async with server("user app on nopass ~* &* +@all", "user default off") as running:
        await assert_usable(RedisAddress(host="127.0.0.1", port=running.port, username="app"))


async def test_a_unix_socket_with_the_password_of_the_default_user() -> None:
    async with server("requirepass pw") as running:
        await assert_usable(RedisAddress(unix_path=str(running.socket), db=2, password="pw"))


@pytest.mark.parametrize("host, insecure", [("127.0.0.1", False), ("localhost", False), ("localhost", True)])
async def test_tls_that_is_verified_by_our_authority_or_not_at_all(tmp_path: Path, host: str, insecure: bool) -> None:
    certificate = self_signed(tmp_path, "redis.example" if insecure else "localhost")
    async with server() as running, behind_tls(running.socket, certificate.server()) as port:
        ca_file = None if insecure else certificate.file

        await assert_usable(
            RedisAddress(host=host, port=port, tls=True, tls_insecure=insecure, ca_file=ca_file)
        )


async def _refused(address: RedisAddress) -> str:
    """Return the reason for which a process does not start with this server."""
    async with linked(address) as link:
        with pytest.raises(UnsuitableRedis) as refusal:
            await link.require_suitable()
        with pytest.raises(StoreDown):
            await link.call("PING")
    return str(refusal.value)


async def test_an_untrusted_certificate_is_refused(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path, "localhost")
    async with server() as running, behind_tls(running.socket, certificate.server()) as port:
        assert "not trusted" in await _refused(RedisAddress(port=port, tls=True))


async def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    address = RedisAddress(port=free_port(), tls=True, ca_file=tmp_path / "missing.pem")
    (tmp_path / "empty.pem").touch()

    assert "missing.pem cannot be used: No such file" in await _refused(address)
    assert "empty.pem cannot be used" in await _refused(replace(address, ca_file=tmp_path / "empty.pem"))


async def test_wrong_credentials_and_databases_are_refused() -> None:
    async with server("requirepass pw") as running:
        address = RedisAddress(host="127.0.0.1", port=running.port)

        assert "user or password (WRONGPASS)" in await _refused(replace(address, password="other"))
        assert "user or password (NOAUTH)" in await _refused(address)
        assert "no database" in await _refused(replace(address, password="pw", db=99))


async def test_a_password_for_a_server_without_one_is_refused() -> None:
    async with server() as running:
        assert "user or password" in await _refused(RedisAddress(host="127.0.0.1", port=running.port, password="pw"))


async def test_a_server_that_starts_later_is_awaited() -> None:
    port = free_port()
    async with linked(RedisAddress(host="127.0.0.1", port=port)) as link:
        await link.require_suitable(timeout_s=0.1)

        assert not link.is_open


async def test_a_command_at_the_moment_of_the_loss_fails() -> None:
    """A caller that retries at once is earlier than the reconnection."""
    async with server() as running, linked(RedisAddress(host="127.0.0.1", port=running.port)) as link:
        await link.call("PING")

        async def try_again() -> str:
            try:
                await link.call("BLPOP", "nothing", 0)  # a stand-in for whatever is under way
            except StoreDown:
                with pytest.raises(StoreDown):
                    await link.call("PING")
                return "told"
            raise AssertionError("there is nothing to pop")

        asyncio.get_running_loop().call_soon(running.process.kill)

        async with asyncio.timeout(20):
            assert await try_again() == "told"


@pytest.mark.parametrize("busy", [True, False], ids=["while a command waits", "while idle"])
async def test_a_dead_connection_is_closed_within_ping_seconds(busy: bool) -> None:
    async with server() as running, linked(_quick(running)) as link:
        await link.call("PING")
        running.freeze()

        async with asyncio.timeout(6):
            if busy:
                with pytest.raises(StoreDown):
                    await link.call("PING")
            while link.is_open:
                await asyncio.sleep(0.01)

        running.thaw()
        assert await link.call("PING") == b"PONG"


async def test_a_retry_as_the_connection_is_lost_waits_for_the_next_one() -> None:
    """Not for the lost one, on which no reply can arrive."""
    async with server() as running, linked(_quick(running)) as link, linked(_quick(running)) as other:

        async def ask_twice() -> bytes:
            with pytest.raises(StoreDown):
                await link.call("BLPOP", "never", 0)
            return bytes(await link.call("PING"))

        asking = asyncio.gather(*(ask_twice() for _ in range(3)))
        async with asyncio.timeout(10):
            while b"cmd=blpop" not in await other.call("CLIENT", "LIST"):
                await asyncio.sleep(0.01)
            await other.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
            answers = await asking

    assert answers == [b"PONG"] * 3


async def test_a_slow_reply_within_ping_seconds_is_awaited() -> None:
    async with server() as running, linked(replace(_quick(running), ping_s=5.0)) as link:
        await link.call("PING")
        running.freeze()
        asyncio.get_running_loop().call_later(1.5, running.thaw)

        assert await link.call("PING") == b"PONG"


async def test_a_dead_subscription_is_detected_and_reopened() -> None:
    async with server() as running, subscribed(_quick(running)) as (subscription, messages):
        assert await subscription.await_ready(5)
        running.freeze()
        async with asyncio.timeout(6):
            while await subscription.await_ready(0):
                await asyncio.sleep(0.01)
        running.thaw()

        assert await subscription.await_ready(5)
        async with linked(_quick(running)) as link:
            await link.call("PUBLISH", "news", "again")
        assert await asyncio.wait_for(messages.get(), 5) == b"again"


def _quick(running: Server) -> RedisAddress:
    return RedisAddress(host="127.0.0.1", port=running.port, ping_s=1.0)
