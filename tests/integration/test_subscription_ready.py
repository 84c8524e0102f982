"""A subscription is ready once Redis has confirmed every channel that was not removed."""

from longshore.shared.redis.address import parse_redis_url
from longshore.shared.redis.subscription import Subscription
from longshore.shared.tasks import Tasks
from tests.fixtures.fault_proxy import Fault, fault_proxy
from tests.fixtures.redis_servers import server

_PATIENCE_S = 30.0
_CONFIRMED = b"*3\r\n$9\r\nsubscribe\r\n$3\r\nall\r\n:1\r\n"


async def test_it_does_not_wait_for_a_removed_channel() -> None:
    """Removed before its confirmation, after that of all others: its own never arrives."""
    tasks, ready = Tasks(), list[str]()
    async with server() as redis, fault_proxy(redis.port) as proxy:
        proxy.fault = Fault(answer_breaks="swallow", after_bytes=len(_CONFIRMED))
        listening = Subscription(
            parse_redis_url(f"redis://127.0.0.1:{proxy.port}"), ["all", "scope"], tasks,
            on_message=lambda _: None, on_ready=lambda: ready.append("ready"),
        )
        try:
            assert await listening.await_channel("all", _PATIENCE_S)
            before = list(ready)
            listening.remove("scope")
            after = list(ready)
        finally:
            await listening.close()
            await tasks.close()

    assert (before, after) == ([], ["ready"])
