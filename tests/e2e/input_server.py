"""Input requests of a modern server in mid-call: a form, a page, the model and the roots."""

from pathlib import Path
from typing import Annotated

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp_types import (
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestURLParams,
    ElicitResult,
    InputRequiredResult,
    ListRootsRequest,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from pydantic import BaseModel


class Name(BaseModel):
    """Fields of the form."""

    name: str


def _ask_name() -> Elicit[Name]:
    return Elicit("who are you?", Name)


def _ask_port(harbour: str) -> Sample:
    asked = SamplingMessage(role="user", content=TextContent(type="text", text=f"a port near {harbour}"))
    return Sample([asked], max_tokens=20)


def _ask_roots() -> ListRoots:
    return ListRoots()


async def greet(name: Annotated[Name, Resolve(_ask_name)], context: Context) -> str:
    """Greets whoever fills in a form."""
    await context.report_progress(2, 2)
    return f"ahoy {name.name}"


def survey(
    harbour: str, port: Annotated[CreateMessageResult, Resolve(_ask_port)],
    roots: Annotated[ListRootsResult, Resolve(_ask_roots)], name: Annotated[Name, Resolve(_ask_name)],
) -> str:
    """Asks three things at once."""
    said = port.content.text if isinstance(port.content, TextContent) else "?"
    return f"{name.name}: {said}, {', '.join(str(root.uri) for root in roots.roots)}"


def write_down(path: str, name: Annotated[Name, Resolve(_ask_name)]) -> str:
    """Writes to a file who filled in the form."""
    Path(path).write_text(name.name, encoding="utf-8")
    return "written"


def log_in(context: Context) -> str | InputRequiredResult:
    """Sends the user to a page, twice."""
    given, state = (context.input_responses or {}).get("page"), int(context.request_state or 0)
    if state and not (isinstance(given, ElicitResult) and given.action == "accept"):
        return "not logged in"
    if state == 2:
        return "logged in"
    page = ElicitRequestURLParams(message="log in", url=f"https://harbour.example/{state}", mode="url")
    return InputRequiredResult(input_requests={"page": ElicitRequest(params=page)}, request_state=str(state + 1))


def personal(context: Context) -> str | InputRequiredResult:
    """A prompt for whoever fills in a form."""
    given = (context.input_responses or {}).get("name")
    if isinstance(given, ElicitResult) and given.content is not None:
        return f"write to {given.content['name']}"
    asked = {"message": "who are you?", "requestedSchema": Name.model_json_schema()}
    return InputRequiredResult(input_requests={"name": ElicitRequest.model_validate({"params": asked})})


def log_of(place: str, context: Context) -> str | InputRequiredResult:
    """A resource that depends on the roots of the client."""
    given = (context.input_responses or {}).get("roots")
    if isinstance(given, ListRootsResult):
        return f"{place}: {', '.join(str(root.uri) for root in given.roots)}"
    return InputRequiredResult(input_requests={"roots": ListRootsRequest()})


def add_to(server: MCPServer) -> None:
    """Give `server` all of them."""
    for tool in (greet, survey, log_in, write_down):
        server.tool()(tool)
    server.prompt()(personal)
    server.resource("log://{place}")(log_of)
