"""Resources that a tool's result links to, read from the upstream in its era, in the session of the call."""

from dataclasses import replace

import msgspec

from longshore.gateway.files import embedded
from longshore.gateway.files.blocks import Resource
from longshore.gateway.files.embedded import Embedded, Linked
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.forward import send
from longshore.gateway.upstream.rpc import read_response
from longshore.gateway.wire import jsonrpc
from longshore.gateway.wire.envelope import Envelope, Kind
from longshore.gateway.wire.protocol_errors import ArtifactMissing
from longshore.shared import ids
from longshore.shared.errors import TooMany, UpstreamDown, UpstreamTimeout

_METHOD = "resources/read"
_MAX_BYTES = 32 * 1024 * 1024       # of one response: a file of 24 MiB, in base64
_TIMEOUT_S = 60.0


class _Read(msgspec.Struct):
    contents: list[Resource]


class _Response(msgspec.Struct):
    result: _Read | None = None


_response = msgspec.json.Decoder(_Response)


async def read_link(exchange: Exchange, link: Linked) -> list[Embedded]:
    """Read the linked resource, of at most 24 MiB. Raises ArtifactMissing where it cannot be read."""
    request_id = f"longshore-{ids.new_id()}"
    reading = _read_exchange(exchange, link.uri, request_id)
    try:
        async with send(reading, reading.body, timeout_s=_TIMEOUT_S) as answer:
            if answer.status != 200:
                raise UpstreamDown(f"the upstream server answered with HTTP status {answer.status}")
            found = _response.decode(await read_response(answer, request_id, _MAX_BYTES)).result
    except jsonrpc.UNREADABLE:
        found = None
    except (UpstreamDown, UpstreamTimeout, TooMany) as err:
        raise ArtifactMissing(f"a linked resource cannot be read: {err}") from err
    contents = [] if found is None else found.contents
    parts = [part for resource in contents if (part := _file_of(resource, link)) is not None]
    if not parts:
        raise ArtifactMissing("a linked resource cannot be read: the upstream server has nothing to show for it")
    return parts


def _file_of(resource: Resource, link: Linked) -> Embedded | None:
    part = embedded.of_resource(resource)
    if part is None:
        return None
    return msgspec.structs.replace(
        part, name=part.name or link.name, media_type=resource.mime_type or link.media_type or part.media_type
    )


def _read_exchange(exchange: Exchange, uri: str, request_id: str) -> Exchange:
    """Build a request of longshore's own for the same caller and the same upstream session."""
    params: jsonrpc.RawMap = {"uri": jsonrpc.raw(uri)}
    route = exchange.route.aside(exchange, request_id, _METHOD, params, uri)
    envelope = Envelope(Kind.REQUEST, request_id, _METHOD, uri=uri)
    return replace(exchange, envelope=envelope, body=jsonrpc.request(request_id, _METHOD, params), route=route)
