"""`server/discover` and `subscriptions/listen` of modern clients, with what longshore adds to the upstream's answers.
"""

from aiohttp import web

from longshore.gateway.mcp import capabilities
from longshore.gateway.mcp.call_files import transfer_policy
from longshore.gateway.mcp.exchange import Exchange
from longshore.gateway.mcp.forwarding.forward import check_kind, relay, send
from longshore.gateway.mcp.forwarding.relay_standing import Standing, relay_standing
from longshore.gateway.mcp.methods import subscribe
from longshore.gateway.mcp.replies.reply import HttpReply
from longshore.gateway.mcp.sessions.leases import LEASES
from longshore.gateway.mcp.subscriptions.acknowledgement import Acknowledgement
from longshore.gateway.wire import changes, jsonrpc, result_fields, sse
from longshore.shared import ids


async def discover(exchange: Exchange) -> web.StreamResponse:
    """Answer `server/discover`: the upstream's answer, with the capabilities that longshore's features need."""
    adapters, more = exchange.mount.adapters, transfer_policy.capability(exchange.request, exchange.mount)

    async def change(response: bytes) -> bytes:
        changed = capabilities.with_ours(response, adapters, capabilities.flags_of(response), more)
        if changed is response:
            return response
        message = jsonrpc.open_object(changed)
        message["result"] = jsonrpc.raw(result_fields.as_private(jsonrpc.open_object(message["result"])))
        return jsonrpc.close_object(message)

    async with send(exchange, exchange.body, timeout_s=exchange.timeout_s) as answer:
        return await relay(exchange, answer, change=change)


async def listen(exchange: Exchange) -> web.StreamResponse:
    """Answer `subscriptions/listen`: the upstream's stream of changes. Its scope does not expire while it is open."""
    if exchange.route.translates:
        return await subscribe.listen(exchange)
    request, leases, lease = exchange.request, exchange.request.app[LEASES], ids.new_id()
    try:
        await leases.acquire_stream(exchange.caller.session_id, lease)
        async with send(exchange, exchange.body, timeout_s=None) as answer:
            check_kind(answer, is_request=True)
            standing = _standing(exchange)
            if not answer.is_stream and answer.status == 404 and standing.scope:     # the server tells of nothing
                return await subscribe.listen_to_us(exchange)
            return await relay_standing(HttpReply(request, exchange.context), answer, standing, {})
    finally:
        leases.release_stream(exchange.caller.session_id, lease)


def _standing(exchange: Exchange) -> Standing:
    """Return what longshore writes on the stream: notices of its own resources, where it has any and the client wants
    them.
    """
    listen_id = exchange.envelope.id
    farewell = sse.event(changes.end_of_stream(listen_id))
    lists = changes.parse_filter(exchange.body).lists
    if not exchange.mount.adapters.exposes_artifacts or changes.RESOURCES not in lists:
        return Standing(farewell)
    notice = sse.event(changes.to_modern(changes.OWN_CHANGE, listen_id))
    return Standing(farewell, exchange.caller.session_id, notice, Acknowledgement())
