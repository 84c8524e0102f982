"""A legacy client that keeps each answer as it came, and answers whatever a server asks of it."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import msgspec

LATEST = "2025-11-25"
CAPABILITIES: dict[str, Any] = {
    "roots": {"listChanged": True},
    "sampling": {"context": {}, "tools": {}},
    "elicitation": {"form": {}, "url": {}},
    "experimental": {"longshore.test/odd": {"nested": [1.0, None]}},
}
OPENING: dict[str, Any] = {
    "protocolVersion": LATEST,
    "capabilities": CAPABILITIES,
    "clientInfo": {"name": "raw", "title": "Raw", "version": "1", "websiteUrl": "https://example.org/raw"},
}
# What the user, the model and the file system behind this client say.
_REPLIES: dict[str, Any] = {
    "ping": {},
    "roots/list": {"roots": [{"uri": "file:///harbour", "name": "harbour"}]},
    "elicitation/create": {"action": "decline"},
    "sampling/createMessage": {
        "role": "assistant",
        "content": {"type": "text", "text": "a port"},
        "model": "none",
        "stopReason": "endTurn",
    },
}
_MEDIA = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
_EVENT_END = re.compile(rb"\r?\n\r?\n")
_encode = msgspec.json.Encoder().encode
_NO_PARAMS: dict[str, Any] = {}


@dataclass(frozen=True)
class Event:
    """One server-sent event, or a JSON body as its only `data`."""

    data: bytes
    name: bytes = b""
    id: bytes = b""
    retry: bytes = b""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer."""

    status: int
    media_type: str
    events: tuple[Event, ...]

    def without(self, patterns: Sequence[bytes]) -> "Answer":
        """The same with what `patterns` find blotted out, and of event ids only whether there were any."""
        blot = re.compile(b"|".join(patterns) or b"(?!)")
        events = tuple(
            Event(blot.sub(b"~", event.data), event.name, b"~" if event.id else b"", event.retry)
            for event in self.events
        )
        return Answer(self.status, self.media_type, events)

    @property
    def response(self) -> dict[str, Any]:
        """The last message of the answer."""
        message: dict[str, Any] = msgspec.json.decode(self.events[-1].data)
        return message


@dataclass
class RawClient:
    """One session at one address. `standing` is what came on its GET stream."""

    http: aiohttp.ClientSession
    url: str
    version: str = LATEST
    session_id: str = ""
    standing: list[Event] = field(default_factory=list)
    _asked: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    async def initialize(self) -> Answer:
        """Open the session; later messages belong to it."""
        params = {**OPENING, "protocolVersion": self.version}
        message = {"jsonrpc": "2.0", "id": "opening", "method": "initialize", "params": params}
        async with self.http.post(self.url, data=_encode(message), headers=_MEDIA) as response:
            self.session_id = response.headers["Mcp-Session-Id"]
            answer = await self._read(response)
        assert (await self.tell("notifications/initialized")).status == 202
        return answer

    async def ask(self, method: str, params: dict[str, Any] = _NO_PARAMS) -> Answer:
        """One request with the next id and a progress token."""
        self._asked += 1
        params = {**params, "_meta": {"progressToken": f"token {self._asked}"}}
        return await self.post(_encode({"jsonrpc": "2.0", "id": self._asked, "method": method, "params": params}))

    async def pages(self, method: str) -> list[Answer]:
        """Every page of a list, or the refusal of a server that has none such."""
        found = [await self.ask(method)]
        while cursor := found[-1].response.get("result", {}).get("nextCursor"):
            found.append(await self.ask(method, {"cursor": cursor}))
        return found

    async def tell(self, method: str) -> Answer:
        """One notification."""
        return await self.post(_encode({"jsonrpc": "2.0", "method": method}))

    async def post(self, body: bytes) -> Answer:
        """One message as it is."""
        async with self.http.post(self.url, data=body, headers={**_MEDIA, **self._session}) as response:
            return await self._read(response)

    async def heard(self, events: int) -> None:
        """Wait until the standing stream has brought so many events."""
        async with asyncio.timeout(10):
            while len(self.standing) < events:
                self._news.clear()
                await self._news.wait()

    async def delete(self) -> int:
        """End the session; the status that says so."""
        async with self.http.delete(self.url, headers=self._session) as response:
            return response.status

    @property
    def _session(self) -> dict[str, str]:
        return {"Mcp-Session-Id": self.session_id, "MCP-Protocol-Version": self.version}

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        if response.content_type != "text/event-stream":
            body = await response.read()
            return Answer(response.status, response.content_type, (Event(body),) if body else ())
        return Answer(response.status, response.content_type, tuple([event async for event in self._events(response)]))

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[Event]:
        """Messages of the stream until it ends. Requests in it are answered; pings come when they like."""
        buffer = b""
        async for chunk in response.content.iter_any():
            *whole, buffer = _EVENT_END.split(buffer + chunk)
            for source in whole:
                event = _event(source)
                if event is not None and await self._reply(event) != "ping":
                    yield event

    async def _reply(self, event: Event) -> str:
        message = msgspec.json.decode(event.data) if event.data else {}
        method: str = message.get("method", "")
        if "id" in message and method:
            reply = {"jsonrpc": "2.0", "id": message["id"], "result": _REPLIES[method]}
            assert (await self.post(_encode(reply))).status == 202
        return method

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Hold the GET stream open and keep what it carries."""
        opened = asyncio.Event()

        async def listen() -> None:
            headers = {"Accept": "text/event-stream", **self._session}
            async with self.http.get(self.url, headers=headers) as response:
                assert response.status == 200
                opened.set()
                async for event in self._events(response):
                    self.standing.append(event)
                    self._news.set()

        async with asyncio.TaskGroup() as group:
            listener = group.create_task(listen())
            await opened.wait()
            yield
            listener.cancel()


@asynccontextmanager
async def opened(url: str, version: str = LATEST) -> AsyncIterator[tuple[RawClient, Answer]]:
    """A session of this revision at `url` with its GET stream open, and how it was opened."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=40)) as http:
        client = RawClient(http, url, version)
        opening = await client.initialize()
        async with client.listening():
            yield client, opening


def _event(source: bytes) -> Event | None:
    fields: dict[bytes, list[bytes]] = {}
    for line in source.splitlines():
        name, _, value = line.partition(b":")
        fields.setdefault(name, []).append(value.removeprefix(b" "))
    fields.pop(b"", None)  # comments
    if not fields:
        return None
    first = {name: values[0] for name, values in fields.items()}
    data = b"\n".join(fields.get(b"data", []))
    return Event(data, first.get(b"event", b""), first.get(b"id", b""), first.get(b"retry", b""))
