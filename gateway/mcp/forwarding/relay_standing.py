"""Relaying of a standing stream: open until its client leaves or the gateway drains, with longshore's changes on it.

Such a stream is the answer to a legacy client's GET, or to a modern client's `subscriptions/listen`.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from longshore.gateway.appkeys import EVENT_LISTENER, TASKS
from longshore.gateway.mcp.replies.event_streams import STREAMS, OpenStream, watch_lists
from longshore.gateway.mcp.replies.reply import HttpReply
from longshore.gateway.mcp.subscriptions.acknowledgement import Acknowledgement
from longshore.gateway.upstream.client import UpstreamResponse
from longshore.shared.errors import LongshoreError
from longshore.shared.messaging.pubsub import RESOURCES, RESYNC, Event


@dataclass(frozen=True, slots=True)
class Standing:
    """Events that longshore writes on a standing stream besides those of the upstream."""

    farewell: bytes = b""        # the event that it ends with when the gateway drains
    scope: str = ""              # whose changes of longshore's own are written on it, "" for none
    notice: bytes = b""          # the event that tells of one
    acknowledgement: Acknowledgement | None = None   # of the stream, before which no notice is written


async def relay_standing(
    reply: HttpReply, answer: UpstreamResponse, standing: Standing, headers: dict[str, str]
) -> web.StreamResponse:
    """Relay the stream `answer` until it ends, its client leaves or the gateway drains. A refusal passes as it is."""
    request = reply.request
    if answer.media_type:
        headers = {**headers, "Content-Type": answer.media_type}
    headers |= answer.forwarded_headers
    if not answer.is_stream:
        return web.Response(status=answer.status, body=await answer.read(), headers=headers)
    stream = await reply.start_standing(headers, status=answer.status)
    try:
        if not standing.scope:
            await _copy(reply, answer, stream, standing)
        else:
            notice = partial(_notice, request, stream, standing)
            async with request.app[EVENT_LISTENER].subscribed(standing.scope, notice):
                await _copy(reply, answer, stream, standing)
    except LongshoreError as err:
        await reply.fail(err)
    finally:
        reply.close()
    return stream.response


async def _copy(reply: HttpReply, answer: UpstreamResponse, stream: OpenStream, standing: Standing) -> None:
    async def copy() -> None:
        chunks: AsyncIterator[bytes] = answer.chunks()
        if standing.acknowledgement is not None:
            chunks = standing.acknowledgement.extended(chunks)
        async for chunk in chunks:
            watch_lists(reply.request, reply.context, chunk)
            await stream.write(chunk)

    if not await reply.request.app[STREAMS].hold(copy()):
        await stream.close(standing.farewell)


def _notice(request: web.Request, stream: OpenStream, standing: Standing, event: Event) -> None:
    is_early = standing.acknowledgement is not None and not standing.acknowledgement.is_sent
    if event.kind in (RESOURCES, RESYNC) and not is_early and stream.put(standing.notice):
        request.app[TASKS].spawn(stream.flush(), name="tell_of_change")
