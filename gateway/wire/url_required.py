"""-32042, with which a server of the session era has the user sent to a page before it takes a request: as the
stateless revision, which has no such error, asks for it. Pure.

MCP 2025-11-25 client/elicitation §URL Elicitation Required Error; MCP 2026-07-28 basic §Error Codes.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc

CODE = -32042
_KEY = "url "                # of a question, before the id that the server gave it
_ACCEPTED = b'"accept"'


class _Page(msgspec.Struct):
    url: str
    message: str = ""
    mode: str = "url"
    id: str = msgspec.field(default="", name="elicitationId")


class _Data(msgspec.Struct):
    pages: list[_Page] = msgspec.field(name="elicitations")


class _Error(msgspec.Struct):
    code: Any = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


_errors = msgspec.json.Decoder(_Error)
_datas = msgspec.json.Decoder(_Data)


def input_required(error: msgspec.Raw) -> dict[str, Any] | None:
    """The result that asks the client to open the pages of this error; None for any other, or one that names none.

    Without a state: once the user agreed, the client sends its request again, and the server knows what it waits for.
    """
    try:
        found = _errors.decode(error)
        pages = _datas.decode(found.data).pages if found.code == CODE else []
    except msgspec.DecodeError:
        return None
    asked = {
        f"{_KEY}{page.id or number}": {
            "method": "elicitation/create", "params": {"mode": "url", "message": page.message, "url": page.url},
        }
        for number, page in enumerate(pages) if page.mode == "url"
    }
    return {"resultType": "input_required", "inputRequests": asked} if asked else None


def is_declined(responses: Mapping[str, msgspec.Raw]) -> bool:
    """Whether the user did not agree to open one of the pages: the server would only ask again."""
    return any(
        name.startswith(_KEY) and bytes(jsonrpc.open_object(said).get("action", b"")) != _ACCEPTED
        for name, said in responses.items()
    )
