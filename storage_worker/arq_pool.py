"""arq's connections to Redis, from the one address that everything uses."""

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

_MOST_CONNECTIONS = 64
_TIMEOUT_S = 5.0


def encode(value: dict[str, Any]) -> bytes:
    """An envelope or result in msgpack; an exception, which arq makes a result of, as its name and words."""
    return msgspec.msgpack.encode(value, enc_hook=_as_text)


def decode(data: bytes) -> dict[str, Any]:
    """An envelope of msgpack."""
    return msgspec.msgpack.decode(data, type=dict[str, Any])


def arq_pool(address: RedisAddress, queue: str) -> ArqRedis:
    """Opens connections as they are needed, and again when they are lost."""
    connections = ConnectionPool(
        connection_class=_Dialled,
        address=address,
        db=address.db,
        username=address.username or None,
        password=address.password or None,
        socket_connect_timeout=CONNECT_S,
        socket_timeout=_TIMEOUT_S,
        retry=Retry(ConstantBackoff(0.05), 2),
        retry_on_error=[RedisConnectionError],
        max_connections=_MOST_CONNECTIONS,
    )
    return ArqRedis(
        pool_or_conn=connections, job_serializer=encode, job_deserializer=decode, default_queue_name=queue
    )


class _Dialled(AbstractConnection):
    """redis-py's connection, opened the way that all of ours are: socket, TLS, Sentinel are one place's business."""

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
        """As the base has it; a server that was demoted counts as lost, so that the master is looked for anew."""
        try:
            return await super().read_response(*args, **options)
        except ReadOnlyError as err:
            await self.disconnect()
            raise RedisConnectionError("the server takes no writes any more") from err


def _as_text(value: object) -> str:
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    raise NotImplementedError
