# mypy: ignore-errors
"""A session with the official Python SDK, of either generation, with every capability and what it heard.

Runs in the environment of requirements/mcp1.txt as well, so it may import nothing of the project's.
"""

from contextlib import asynccontextmanager
from datetime import timedelta

import anyio
import mcp
from mcp.client.streamable_http import streamable_http_client

try:
    import httpx2 as httpx
    import mcp_types as types

    GENERATION = 2
except ImportError:
    import httpx
    from mcp import types

    GENERATION = 1

ROOT = {"uri": "file:///harbour", "name": "harbour"}


class Heard:
    """Notifications of the server in their order, and errors below the SDK."""

    def __init__(self):
        self.logs = []
        self.changes = []
        self.completed = []
        self.retried = []
        self.listening = anyio.Event()
        self.session_id = ""

    async def log(self, params):
        self.logs.append(params.data)

    async def message(self, message):
        note = getattr(message, "root", message)
        method = getattr(note, "method", "")
        if method == "notifications/resources/updated":
            self.changes.append(str(note.params.uri))
        elif method == "notifications/elicitation/complete":
            self.completed.append(note.params)
        elif method.endswith("list_changed"):
            self.changes.append(method)


class RetryingOnce(httpx.AsyncHTTPTransport):
    """Sends a request that found no answer once more, as the SDK, which then gives its session up, does not."""

    def __init__(self, heard):
        super().__init__()
        self._heard = heard

    async def handle_async_request(self, request):
        try:
            response = await super().handle_async_request(request)
        except httpx.TransportError as err:
            if request.method != "POST":
                raise
            self._heard.retried.append(repr(err))
            response = await super().handle_async_request(request)
        if request.method == "GET" and response.status_code == 200:
            self._heard.listening.set()
        self._heard.session_id = request.headers.get("mcp-session-id", self._heard.session_id)
        return response


async def _sample(context, params):
    content = params.messages[0].content
    text = content[0].text if isinstance(content, list) else content.text
    return types.CreateMessageResult(
        role="assistant", content=types.TextContent(type="text", text=f"sampled: {text}"), model="none"
    )


async def _elicit(context, params):
    return types.ElicitResult(action="accept" if getattr(params, "mode", "form") == "url" else "decline")


async def _roots(context):
    return types.ListRootsResult(roots=[types.Root(**ROOT)])


@asynccontextmanager
async def connected(url, heard, *, timeout_s=15.0, elicit=_elicit):
    """An initialised session whose calls take `timeout_s` at most, and what `initialize` answered."""
    async with (
        httpx.AsyncClient(transport=RetryingOnce(heard), timeout=httpx.Timeout(30.0, read=60.0)) as http,
        streamable_http_client(url, http_client=http) as streams,
        mcp.ClientSession(
            *streams[:2], sampling_callback=_sample, elicitation_callback=elicit, list_roots_callback=_roots,
            logging_callback=heard.log, message_handler=heard.message,
            read_timeout_seconds=timeout_s if GENERATION == 2 else timedelta(seconds=timeout_s),
        ) as session,
    ):
        yield session, await session.initialize()


def page(cursor):
    """Parameters of a list."""
    return types.PaginatedRequestParams(cursor=cursor)
