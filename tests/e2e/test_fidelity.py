"""With no adapters configured, longshore changes nothing that a server says, nor what a client says to it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.raw import LATEST, OPENING, Answer, RawClient, opened
from tests.e2e.stack import one_of_each, server
from tests.fixtures.everything_server import everything_server
from tests.fixtures.node import everything, playwright

Steps = list[tuple[str, dict[str, Any]]]
Visit = dict[str, list[Answer]]
_LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list")
# Times and random ids of an answer, which no two visits share.
_PASSING = (
    rb"\d{4}-\d\d-\d\dT\d\d[:-]\d\d[:-]\d\d[.-]\d{3}Z?",
    rb'(?<=created at )[^"\\]+',
    rb"(?<=IGNyZWF0ZWQgYXQg)[A-Za-z0-9+/]+=*",  # the same in base64
    rb"\b[0-9a-f]{32}\b",
    rb"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b",
)


def _calls(**tools: Any) -> Steps:
    return [("tools/call", {"name": name, "arguments": arguments}) for name, arguments in tools.items()]


def _reads(*uris: str) -> Steps:
    return [("resources/read", {"uri": uri}) for uri in uris]


def _prompts(**prompts: dict[str, str]) -> Steps:
    return [("prompts/get", {"name": name, "arguments": arguments}) for name, arguments in prompts.items()]


_COMMON: Steps = [
    ("ping", {}),
    ("logging/setLevel", {"level": "info"}),
    ("logging/setLevel", {"level": "loud"}),
    ("tools/call", {"name": "no such tool", "arguments": {}}),
    ("tools/call", {}),
    ("prompts/get", {"name": "no such prompt"}),
    ("resources/read", {"uri": "test://nothing"}),
    ("tools/list", {"cursor": "no such cursor"}),
    ("harbour/unknown", {"anything": [1.0, None]}),
]
_OURS: Steps = [
    *_calls(
        test_simple_text={},
        test_image_content={},
        test_audio_content={},
        test_embedded_resource={},
        test_multiple_content_types={},
        test_error_handling={},
        test_resource_link={},
        test_structured_content={},
        test_tool_with_logging={},
        test_tool_with_progress={},
        test_sampling={"prompt": "name a port"},
        test_elicitation={"message": "who?"},
        test_elicitation_sep1034_defaults={},
        test_elicitation_sep1330_enums={},
        test_elicitation_url={},
        test_roots={},
        test_client={},
        test_announcements={},
    ),
    *_reads("test://static-text", "test://static-binary", "test://template/ü/data"),
    *_prompts(
        test_simple_prompt={},
        test_prompt_with_arguments={"arg1": "hello", "arg2": "world"},
        test_prompt_with_embedded_resource={"resourceUri": "test://a"},
        test_prompt_with_image={},
    ),
    ("completion/complete", {
        "ref": {"type": "ref/prompt", "name": "test_prompt_with_arguments"},
        "argument": {"name": "arg1", "value": "par"},
    }),
    ("resources/subscribe", {"uri": "test://watched-resource"}),
    ("resources/unsubscribe", {"uri": "test://watched-resource"}),
]  # fmt: skip
_EVERYTHING: Steps = [
    *_calls(**{
        "echo": {"message": "ahoy"},
        "get-annotated-message": {"messageType": "error", "includeImage": True},
        "get-env": {},
        "get-resource-links": {"count": 3},
        "get-resource-reference": {"resourceType": "Blob", "resourceId": 2},
        "get-structured-content": {"location": "Chicago"},
        "get-sum": {"a": 1.5, "b": "two"},
        "get-tiny-image": {},
        "gzip-file-as-resource": {"name": "a.gz", "data": "data:text/plain,ahoy", "outputType": "resource"},
        "trigger-long-running-operation": {"duration": 0.3, "steps": 3},
        "get-roots-list": {},
        "trigger-elicitation-request": {},
        "trigger-url-elicitation": {"url": "https://example.org/", "elicitationId": "one"},
        "trigger-sampling-request": {"prompt": "name a port", "maxTokens": 10},
    }),
    *_reads("demo://resource/static/document/features.md", "demo://resource/dynamic/blob/2"),
    *_prompts(**{
        "simple-prompt": {},
        "args-prompt": {"city": "Split"},
        "resource-prompt": {"resourceType": "Text", "resourceId": "1"},
    }),
    ("completion/complete", {
        "ref": {"type": "ref/prompt", "name": "completable-prompt"},
        "argument": {"name": "department", "value": "E"},
    }),
    ("resources/subscribe", {"uri": "demo://resource/dynamic/text/1"}),
    ("resources/unsubscribe", {"uri": "demo://resource/dynamic/text/1"}),
    ("tools/call", {"name": "simulate-research-query", "arguments": {"topic": "tides"}, "task": {"ttl": 60000}}),
]  # fmt: skip
_PLAYWRIGHT: Steps = _calls(
    browser_navigate={"url": "data:text/html,<title>t</title><h1>Harbour</h1><button>Go</button>"},
    browser_snapshot={},
    browser_evaluate={"function": "() => ({a: [1.5, null]})"},
    browser_take_screenshot={},
    browser_click={"target": "nothing"},
    browser_tabs={"action": "list"},
    browser_close={},
)


@asynccontextmanager
async def _started_ours(folder: Path) -> AsyncIterator[str]:
    async with everything_server(folder) as url:
        yield url


@asynccontextmanager
async def _started_everything(folder: Path) -> AsyncIterator[str]:
    async with everything(folder) as upstream:
        yield upstream.url


@asynccontextmanager
async def _started_playwright(folder: Path) -> AsyncIterator[str]:
    async with playwright(folder, output=folder / "output") as upstream:
        yield upstream.url


@dataclass(frozen=True)
class Tour:
    """Visit of one server, and how many events its standing stream brings before that and in all."""

    start: Callable[[Path], AbstractAsyncContextManager[str]]
    steps: Steps
    before: int
    in_all: int


_TOURS = {
    "the fixture": Tour(_started_ours, _OURS, before=0, in_all=4),
    "server-everything": Tour(_started_everything, _EVERYTHING, before=2, in_all=6),
    "playwright": Tour(_started_playwright, _PLAYWRIGHT, before=0, in_all=2),
}


@pytest.mark.parametrize(
    "name, version",
    [
        *((name, LATEST) for name in _TOURS),
        ("the fixture", "2025-06-18"),
        ("the fixture", "2025-03-26"),
    ],
)
async def test_a_server_says_the_same_through_longshore(tmp_path: Path, name: str, version: str) -> None:
    """`initialize`, every page of every list, and every kind of result: the same bytes, events and statuses."""
    tour = _TOURS[name]
    async with (
        tour.start(tmp_path) as url,
        one_of_each(tmp_path, [server("upstream", url)]) as (_, gateway),
    ):
        direct = await _visit(url, tour, version)
        through = await _visit(gateway.mount("upstream"), tour, version)

    for step, answers in direct.items():
        assert through[step] == answers, step
    assert through.keys() == direct.keys()


async def test_the_upstream_learns_what_the_client_can_do(tmp_path: Path) -> None:
    async with (
        everything_server(tmp_path) as url,
        one_of_each(tmp_path, [server("upstream", url)]) as (_, gateway),
        opened(gateway.mount("upstream")) as (client, _),
    ):
        answer = await client.ask("tools/call", {"name": "test_client", "arguments": {}})

    assert answer.response["result"]["structuredContent"] == {"initialize": OPENING}


async def _visit(url: str, tour: Tour, version: str) -> Visit:
    """Everything that one session of all steps brought, but for what differs from visit to visit."""
    async with opened(url, version) as (client, opening):
        assert opening.response["result"]["protocolVersion"] == version
        found = {"initialize": [opening]}
        await client.heard(tour.before)
        for method in _LISTS:
            found[method] = await client.pages(method)
        for number, (method, params) in enumerate(_COMMON):
            found[f"common step {number}: {method} {params}"] = [await client.ask(method, params)]
        for number, (method, params) in enumerate(tour.steps):
            answer = await client.ask(method, params)
            assert "result" in answer.response, answer
            found[f"step {number}: {method} {params}"] = [answer, *await _task(client, answer)]
        await client.heard(tour.in_all)
        found["standing stream"] = [Answer(200, "", tuple(client.standing[: tour.in_all]))]
        assert await client.delete() in (200, 204)
    return {step: [answer.without(_PASSING) for answer in answers] for step, answers in found.items()}


async def _task(client: RawClient, answer: Answer) -> list[Answer]:
    """Course of a step that became a task, its cancellation, and its outcome."""
    if "task" not in answer.response["result"]:
        return []
    task = {"taskId": answer.response["result"]["task"]["taskId"]}
    return [await client.ask(method, task) for method in ("tasks/get", "tasks/cancel", "tasks/get")]
