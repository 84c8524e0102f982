"""An MCP client of the legacy revisions that shows every byte of what it got, one HTTP request at a time."""

from typing import Any

import aiohttp
import msgspec

VERSION = "2025-11-25"
_CLIENT = {"name": "wire", "version": "1"}


class Session:
    """One MCP session that may be continued at any address that serves it."""

    def __init__(self, http: aiohttp.ClientSession, session_id: str, opening: dict[str, Any]) -> None:
        self._http = http
        self.id = session_id
        self.opening = opening  # the result of `initialize`

    @property
    def headers(self) -> dict[str, str]:
        return {"Mcp-Session-Id": self.id, "MCP-Protocol-Version": VERSION}

    async def call(self, url: str, method: str, request_id: int | str, /, **params: Any) -> dict[str, Any]:
        """Send one request and return its response message; asserts status 200 and the id."""
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        async with post(self._http, url, message, self.headers) as answer:
            assert answer.status == 200, f"{answer.status} {await answer.text()}"
            return await response_in(answer, request_id)

    async def tool(self, url: str, name: str, request_id: int | str, /, **arguments: Any) -> dict[str, Any]:
        """Call one tool and return its result."""
        message = await self.call(url, "tools/call", request_id, name=name, arguments=arguments)
        result: dict[str, Any] = message["result"]
        return result

    async def end(self, url: str) -> int:
        """DELETE the session; returns the status."""
        async with self._http.delete(url, headers=self.headers) as answer:
            return answer.status


async def open_session(
    http: aiohttp.ClientSession, url: str, *, capabilities: dict[str, Any] | None = None
) -> Session:
    """`initialize` at `url` and say `initialized` there."""
    params = {"protocolVersion": VERSION, "capabilities": capabilities or {}, "clientInfo": _CLIENT}
    message = {"jsonrpc": "2.0", "id": "open", "method": "initialize", "params": params}
    async with post(http, url, message, {}) as answer:
        assert answer.status == 200, f"{answer.status} {await answer.text()}"
        opening = (await response_in(answer, "open"))["result"]
        session = Session(http, answer.headers["Mcp-Session-Id"], opening)
    async with post(http, url, {"jsonrpc": "2.0", "method": "notifications/initialized"}, session.headers) as answer:
        assert answer.status == 202, f"{answer.status} {await answer.text()}"
    return session


def post(
    http: aiohttp.ClientSession, url: str, message: dict[str, Any], headers: dict[str, str]
) -> "aiohttp.client._RequestContextManager":
    """POST one JSON-RPC message the way the transport asks for."""
    media = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    return http.post(url, data=msgspec.json.encode(message), headers={**media, **headers})


async def response_in(answer: aiohttp.ClientResponse, request_id: int | str) -> dict[str, Any]:
    """The response to `request_id` in a JSON body or an event stream, notifications left out."""
    if answer.content_type == "application/json":
        messages = [msgspec.json.decode(await answer.read())]
    else:
        assert answer.content_type == "text/event-stream", answer.content_type
        messages = [msgspec.json.decode(data) for data in _events(await answer.text())]
    [found] = [message for message in messages if "method" not in message]
    assert found["id"] == request_id
    assert type(found["id"]) is type(request_id)
    response: dict[str, Any] = found
    return response


def _events(text: str) -> list[str]:
    lines = (line for line in text.splitlines() if line.startswith("data:"))
    return [data for data in (line.removeprefix("data:").strip() for line in lines) if data]
