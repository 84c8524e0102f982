"""Client call of `server/discover`: the capabilities of a modern upstream."""

import asyncio

import msgspec

from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.headers import ACCEPT_BOTH
from longshore.gateway.upstream.rpc import request
from longshore.gateway.wire import jsonrpc, modern
from longshore.shared.errors import UpstreamDown, UpstreamTimeout


class _Versions(msgspec.Struct):
    supported: list[str] = msgspec.field(name="supportedVersions")


async def discover(client: UpstreamClient, headers: dict[str, str], *, timeout_s: float | None) -> jsonrpc.RawMap:
    """Return the result. Raises UpstreamDown if the upstream refuses or is not modern, UpstreamTimeout."""
    headers = {**headers, **modern.request_headers("server/discover"), **ACCEPT_BOTH}
    try:
        async with asyncio.timeout(timeout_s):
            response, _ = await request(client, headers, "server/discover", {"_meta": modern.OWN_META})
    except TimeoutError:
        raise UpstreamTimeout(f"the upstream server did not answer server/discover within {timeout_s:g} s") from None
    result = response.get("result", msgspec.Raw(b"{}"))
    try:
        versions = msgspec.json.decode(result, type=_Versions).supported
    except msgspec.DecodeError:
        raise UpstreamDown("the upstream server refused server/discover") from None
    if modern.VERSION not in versions:
        raise UpstreamDown(f"the upstream server does not speak revision {modern.VERSION}")
    return jsonrpc.open_object(result)
