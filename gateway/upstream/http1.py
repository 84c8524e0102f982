"""HTTP/1.1 client codec (RFC 9112): encodes request heads, parses the responses of one connection. Pure, no I/O.

llhttp parses strictly. This module decides the rest: size limits, interim responses, bodies that end with the
connection, and keep-alive.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import httptools

from longshore.shared.errors import BadRequest, UpstreamDown

MAX_HEAD_BYTES = 64 * 1024       # of a response head; also of chunk framing without body bytes

_JOIN_BYTES = 64 * 1024          # pieces of a body are joined up to this size; larger ones are not copied

_NOT_HTTP = "the upstream server's answer is not valid HTTP"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Set by the connection itself: a duplicate would allow request smuggling.
FRAMING_HEADERS = frozenset({
    "connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
})


@lru_cache(maxsize=512)
def _prefix(name: str) -> str:
    """Header name with its colon; "" for `Host`, which follows the request line already. Raises BadRequest."""
    if not _NAME.fullmatch(name):
        raise BadRequest("a header that is configured for the upstream server has a name that HTTP does not allow")
    if name.lower() in FRAMING_HEADERS:
        raise BadRequest(f"the header {name} is set by the connection itself and cannot be passed on")
    return "" if name.lower() == "host" else f"{name}: "


def request_head(request_line: bytes, headers: Mapping[str, str], body_bytes: int | None) -> bytes:
    """Encode a request head. `request_line` includes the Host header; `body_bytes` None means no body.

    Header values are sent byte for byte. Raises BadRequest for a value with a line break or NUL.
    """
    lines = [prefix + value for name, value in headers.items() if (prefix := _prefix(name))]
    head = "\r\n".join(lines).encode("utf-8", "surrogateescape")
    breaks = max(0, len(lines) - 1)
    if head.count(b"\r") != breaks or head.count(b"\n") != breaks or b"\0" in head:
        raise BadRequest("a header for the upstream server holds a line break or a NUL byte")
    if lines:
        head += b"\r\n"
    if body_bytes is None:
        return request_line + head + b"\r\n"
    return b"%b%bContent-Length: %d\r\n\r\n" % (request_line, head, body_bytes)


class ResponseParser:
    """Parser of the responses on one connection, in order. Call `expect` before each request.

    `pieces` holds the unread part of the body; `unread_bytes` is its size.
    """

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.expect()

    def expect(self, *, body: bool = True) -> None:
        """Reset for the next response; `body` is False after a HEAD request."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}    # by lower-case name, the first of each
        self.has_started = False                 # at least one byte has arrived
        self.has_head = False
        self.is_complete = False
        self.keeps_alive = False                 # the connection may carry another request
        self.pieces: list[bytes] = []
        self.unread_bytes = 0
        self._body_expected = body
        self._is_interim = False
        self._head_bytes = 0
        self._unproductive_bytes = 0

    def feed(self, data: bytes) -> None:
        """Parse received bytes. Raises UpstreamDown if they are not HTTP, or exceed the limits."""
        if self.is_complete or self._parser is None:  # unsolicited bytes: the next response could not be trusted
            self.keeps_alive = False
            return
        self.has_started = True
        had_head, unread_bytes = self.has_head, self.unread_bytes
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as err:  # no request asks for an upgrade
            self.keeps_alive = False
            if not self.is_complete:
                raise UpstreamDown(_NOT_HTTP) from err
        if not had_head:
            self._check_head()
        if had_head and self.unread_bytes > unread_bytes:
            self._unproductive_bytes = 0
            return
        self._unproductive_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES or (
            self._unproductive_bytes > MAX_HEAD_BYTES and not self.has_head
        ):
            raise UpstreamDown(f"the head of the upstream server's answer is larger than {MAX_HEAD_BYTES} bytes")
        if had_head and self._unproductive_bytes > MAX_HEAD_BYTES and not self.is_complete:
            raise UpstreamDown("the upstream server's answer is all framing and no body")

    def _check_head(self) -> None:
        """Reject response heads that llhttp accepts and this client cannot use. Raises UpstreamDown."""
        if self.status and not 100 <= self.status <= 599:
            raise UpstreamDown(_NOT_HTTP)
        coding = self.headers.get(b"transfer-encoding")
        if coding is not None and coding.strip().lower() != b"chunked":  # requests offer no other coding
            raise UpstreamDown("the upstream server's answer has a transfer coding that was not asked for")

    def end(self) -> None:
        """Handle the end of the connection. Raises UpstreamDown if the response is incomplete."""
        self.keeps_alive = False
        if self.is_complete:
            return
        # Without Content-Length and chunks the body ends with the connection (RFC 9112 §6.3).
        if self.has_head and not self.headers.keys() & {b"content-length", b"transfer-encoding"}:
            self.is_complete = True
            return
        raise UpstreamDown("the upstream server broke off its answer")

    def take(self) -> bytes:
        """Take unread bytes of the body: all of them if few, else one piece as it arrived."""
        pieces = self.pieces
        if self.unread_bytes <= _JOIN_BYTES or len(pieces) == 1:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
        else:
            data = pieces.pop(0)
        self.unread_bytes -= len(data)
        return data

    def close(self) -> None:
        """Drop the parser, whose callbacks hold a reference cycle to this object."""
        self._parser = None

    # Called by the parser.

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.keeps_alive = False
            self._is_interim = True    # an unsolicited response

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.has_head:  # trailers are ignored
            self._head_bytes += len(name) + len(value) + 4
            self.headers.setdefault(name.lower(), value)

    def on_headers_complete(self) -> None:
        if self.is_complete or self._parser is None:
            return
        self.status = self._parser.get_status_code()
        if self.status < 200:
            self._is_interim = True
            self.headers = {}
            return
        self.has_head = True
        if self.status in (204, 304) or not self._body_expected:
            self.is_complete = True    # if a body follows nevertheless, the connection is closed

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self.pieces.append(data)
            self.unread_bytes += len(data)

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
        elif self._parser is not None:
            self.is_complete = True
            self.keeps_alive = self._parser.should_keep_alive()
