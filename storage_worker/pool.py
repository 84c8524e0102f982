"""arq's connections to Redis, from the one address that everything uses."""

from typing import Any

import msgspec
from arq.connections import ArqRedis
from redis.asyncio.connection import Connection, ConnectionPool, SSLConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from shared.state.address import RedisAddress

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
    shared: dict[str, Any] = {
        "db": address.db,
        "username": address.username or None,
        "password": address.password or None,
        "socket_connect_timeout": _TIMEOUT_S,
        "socket_timeout": _TIMEOUT_S,
        "retry": Retry(ConstantBackoff(0.05), 2),
        "retry_on_error": [RedisConnectionError],
        "max_connections": _MOST_CONNECTIONS,
    }
    return ArqRedis(
        pool_or_conn=_connections(address, shared), job_serializer=encode, job_deserializer=decode,
        default_queue_name=queue,
    )


def _connections(address: RedisAddress, shared: dict[str, Any]) -> ConnectionPool:
    if address.unix_path:
        return ConnectionPool(connection_class=UnixDomainSocketConnection, path=address.unix_path, **shared)
    at: dict[str, Any] = {"host": address.host, "port": address.port}
    if not address.tls:
        return ConnectionPool(connection_class=Connection, **at, **shared)
    return ConnectionPool(
        connection_class=SSLConnection,
        ssl_cert_reqs="none" if address.tls_insecure else "required",
        ssl_check_hostname=not address.tls_insecure,
        ssl_ca_certs=str(address.ca_file) if address.ca_file else None,
        **at, **shared,
    )


def _as_text(value: object) -> str:
    if isinstance(value, BaseException):
        return f"{type(value).__name__}: {value}"
    raise NotImplementedError
