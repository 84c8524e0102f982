"""`server/discover` of the gateway's own: what an upstream of the stateless revision says of itself."""

import asyncio

import msgspec

from longshore.gateway.upstream.client import UpstreamClient
from longshore.gateway.upstream.rpc import request
from longshore.gateway.wire import jsonrpc, modern
from longshore.shared.errors import UpstreamDown, UpstreamTimeout

OWN_META = {
    modern.PROTOCOL_KEY: modern.VERSION, modern.CAPABILITIES_KEY: {},
    modern.CLIENT_INFO_KEY: {"name": "longshore", "version": "1"},
}


class _Versions(msgspec.Struct):
    supported: list[str] = msgspec.field(name="supportedVersions")


async def discover(client: UpstreamClient, headers: dict[str, str], *, timeout_s: float | None) -> jsonrpc.RawMap:
    """The result. Raises UpstreamDown where the upstream refuses, or does not speak the revision; UpstreamTimeout."""
    asked = {**headers, **modern.request_headers("server/discover"), "Accept": "application/json, text/event-stream"}
    try:
        async with asyncio.timeout(timeout_s):
            response, _ = await request(client, asked, "server/discover", {"_meta": OWN_META})
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
