"""Converts the legacy error -32042 (the user must open a page first) into a modern `input_required` result. Pure.

MCP 2025-11-25 client/elicitation §URL Elicitation Required Error; MCP 2026-07-28 basic §Error Codes.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from longshore.gateway.wire.input_required import is_accepted

CODE = -32042
_KEY = "url "                # prefix of a key in `inputRequests`, followed by the server's elicitation id


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
    """Build the `input_required` result for this error; None for any other error, or if it names no page.

    It has no `requestState`: the client sends its request again, and the server remembers the elicitation.
    """
    try:
        found = _errors.decode(error)
        pages = _datas.decode(found.data).pages if found.code == CODE else []
    except msgspec.DecodeError:
        return None
    requests = {
        f"{_KEY}{page.id or number}": {
            "method": "elicitation/create", "params": {"mode": "url", "message": page.message, "url": page.url},
        }
        for number, page in enumerate(pages) if page.mode == "url"
    }
    return {"resultType": "input_required", "inputRequests": requests} if requests else None


def is_declined(responses: Mapping[str, msgspec.Raw]) -> bool:
    """True if the user declined to open one of the pages: the server would only ask again."""
    return any(name.startswith(_KEY) and not is_accepted(result) for name, result in responses.items())
