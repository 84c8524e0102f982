"""Additions to an upstream's list, and changes to its entries. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from longshore.gateway.wire import jsonrpc, result_fields
from longshore.shared.errors import UpstreamDown

Each = Callable[[msgspec.Raw], msgspec.Raw]
_list = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Additions:
    """Entries of longshore for the upstream's last page, and a change to each entry of every page."""

    name: str                        # of the list in the result
    ours: list[dict[str, Any]]
    next_cursor: str | None = None   # of ours that do not fit on the page
    each: Each | None = None
    is_private: bool = False         # the result has to say that it is this caller's, on every page

    @property
    def changes_any(self) -> bool:
        """True where a page may come out different."""
        return bool(self.ours) or self.each is not None or self.is_private

    def alone(self) -> dict[str, Any]:
        """Build the result where the upstream has no such list."""
        return {self.name: self.ours} | ({"nextCursor": self.next_cursor} if self.next_cursor else {})

    def merged(self, response: bytes) -> bytes:
        """Merge the additions into the upstream's response. Raises UpstreamDown where its list is malformed."""
        message = jsonrpc.open_object(response)
        if "result" not in message:
            return response
        result = jsonrpc.open_object(message["result"])
        is_last = bytes(result.get("nextCursor", b"null")) in (b"null", b'""')
        ours = self.ours if is_last else []
        if self.name not in result or not (ours or self.each or self.is_private):
            return response
        try:
            theirs = _list.decode(result[self.name])
        except msgspec.DecodeError:
            raise UpstreamDown(f"the upstream server's list of {self.name} is malformed") from None
        result[self.name] = jsonrpc.raw([*(map(self.each, theirs) if self.each else theirs), *ours])
        if is_last and self.next_cursor is not None:
            result["nextCursor"] = jsonrpc.raw(self.next_cursor)
        message["result"] = jsonrpc.raw(result_fields.as_private(result) if self.is_private else result)
        return jsonrpc.close_object(message)
