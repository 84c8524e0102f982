"""Connection pool of arq, opened from the same Redis address as every other connection."""

import asyncio
from typing import Any

import msgspec
from arq.connections import ArqRedis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError

from longshore.shared.errors import StoreDown
from longshore.shared.redis.address import RedisAddress, UnsuitableRedis
from longshore.shared.redis.connect import CONNECT_S, open_streams, resolve_address

_MAX_CONNECTIONS = 64
_TIMEOUT_S = 5.0


def encode(value: dict[str, Any]) -> bytes:
    """Encode an envelope or a result in msgpack; an exception, which arq takes as a result, as its name and message."""
    return msgspec.msgpack.encode(value, enc_hook=_exception_as_text)


def decode(data: bytes) -> dict[str, Any]:
    """Decode an envelope or a result from msgpack."""
    return msgspec.msgpack.decode(data, type=dict[str, Any])


def arq_pool(address: RedisAddress, queue: str) -> ArqRedis:
    """Pool that opens connections when they are needed and reconnects after a loss."""
    connections = ConnectionPool(
        connection_class=_Connection,
        address=address,
        db=address.db,
        username=address.username or None,
        password=address.password or None,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=_TIMEOUT_S,
        retry=Retry(ConstantBackoff(0.05), 2),
        retry_on_error=[RedisConnectionError],
        max_connections=_MAX_CONNECTIONS,
    )
    return ArqRedis(
        pool_or_conn=connections, job_serializer=encode, job_deserializer=decode, default_queue_name=queue
    )


class _Connection(AbstractConnection):
    """Connection of redis-py, opened by `shared.redis.connect`, which knows sockets, TLS and Sentinel."""

    def __init__(self, *, address: RedisAddress, **settings: Any) -> None:
        super().__init__(**settings)
        self._address = address
        self._attempts = 0

    def repr_pieces(self) -> list[tuple[str, str | int]]:
        return [("db", self.db)]

    async def _connect(self) -> None:
        self._attempts += 1
        try:
            at = await resolve_address(self._address, attempt=self._attempts - 1)
            async with asyncio.timeout(self.socket_connect_timeout):
                self._reader, self._writer = await open_streams(at)
        except (StoreDown, UnsuitableRedis) as err:
            raise RedisConnectionError(str(err)) from err
        self._attempts = 0

    def _host_error(self) -> str:
        return "Redis"

    async def read_response(self, *args: Any, **options: Any) -> Any:
        """Read a response; disconnect from a server that was demoted, so that the new master is located."""
        try:
            return await super().read_response(*args, **options)
        except ReadOnlyError as err:
            await self.disconnect()
            raise RedisConnectionError("the server has become read-only") from err


def _exception_as_text(value: object) -> str:
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    raise NotImplementedError
