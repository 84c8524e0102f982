"""Reply to a client request of a suspendable call: the call's output, whichever gateway runs the call."""

import asyncio

from aiohttp import web

from longshore.gateway.mcp.input_requests.suspended_call import Finished, KeepAlive, Notification, OutputSource
from longshore.gateway.mcp.replies.reply import JSON, HttpReply
from longshore.gateway.request_context import context_of
from longshore.gateway.wire import server_requests
from longshore.gateway.wire.envelope import Envelope
from longshore.shared.errors import LongshoreError, UpstreamDown


async def stream_to_client(request: web.Request, source: OutputSource, message: Envelope) -> web.StreamResponse:
    """Write the call's output as the reply to this request. A client that disconnects cancels its call."""
    context = context_of(request)
    context.in_tool_call = message.method == "tools/call"
    reply = HttpReply(request, context)
    try:
        while True:
            try:
                output = await source.next_output()
            except LongshoreError as err:
                return await reply.fail(err)
            match output:
                case Finished():
                    return await _finish(reply, output, message)
                case Notification():
                    await reply.notify(output.data)
                case KeepAlive():
                    await reply.start()
    except (asyncio.CancelledError, ConnectionError):
        source.disconnect()
        raise
    finally:
        reply.close()


async def _finish(reply: HttpReply, finished: Finished, message: Envelope) -> web.StreamResponse:
    """Write the response, under the id of this request where it is a JSON-RPC message."""
    if finished.headers.get("Content-Type", JSON).startswith(JSON):
        body = server_requests.with_id(finished.body, message.id)
    elif not reply.is_started:
        body = finished.body
    else:
        return await reply.fail(UpstreamDown(f"the upstream server answered with HTTP status {finished.status}"))
    return await reply.finish(body, status=finished.status, headers=finished.headers)
