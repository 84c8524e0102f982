"""HTTP/1.1 as a client speaks it: request heads out, responses in, one after the other. Pure, no I/O.

RFC 9112. llhttp parses strictly; what it leaves open is decided here: sizes, interim responses, bodies that
end with the connection, and whether the connection may carry another request.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

import httptools

from longshore.shared.errors import BadRequest, UpstreamDown

MAX_HEAD_BYTES = 64 * 1024       # of one response's head; also of framing that carries no body

_JOIN_BYTES = 64 * 1024          # small pieces are worth joining, large ones are not worth copying

_NOT_HTTP = "the upstream server's answer is not valid HTTP"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# Set by the connection itself: a second one would let two servers read one request differently.
_FRAMING = frozenset({
    "connection", "content-length", "expect", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade",
})


@lru_cache(maxsize=512)
def _prefix(name: str) -> str:
    """What a header's line begins with; nothing for `Host`, which is part of every request's beginning."""
    if not _NAME.fullmatch(name):
        raise BadRequest("a header that is configured for the upstream server has a name that HTTP does not allow")
    if name.lower() in _FRAMING:
        raise BadRequest(f"the header {name} is set by the connection itself and cannot be passed on")
    return "" if name.lower() == "host" else f"{name}: "


def request_head(request_line: bytes, headers: Mapping[str, str], body_bytes: int | None) -> bytes:
    """A request's head. `begin` is the request line and Host; `body_bytes` None is a request without body.

    Values travel byte for byte. Raises BadRequest for a header that would break out of its line.
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
    """The responses of one connection, in order. Call `expect` before each request.

    `pieces` is the body as far as it has come and was not taken; whoever takes it counts it off `waiting_bytes`.
    """

    def __init__(self) -> None:
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self.expect()

    def expect(self, *, body: bool = True) -> None:
        """Make ready for the next response; `body` False when its request was a HEAD."""
        self.status = 0
        self.headers: dict[bytes, bytes] = {}    # by lower-case name, the first of each
        self.has_started = False                   # at least one byte has come
        self.has_head = False
        self.is_complete = False
        self.keeps_alive = False                   # the connection may carry another request
        self.pieces: list[bytes] = []
        self.waiting_bytes = 0
        self._body_expected = body
        self._is_interim = False
        self._head_bytes = 0
        self._unproductive_bytes = 0

    def feed(self, data: bytes) -> None:
        """Take what came. Raises UpstreamDown when it is not HTTP, or more than the limits allow."""
        if self.is_complete or self._parser is None:  # nobody asked for it: the next answer could not be trusted
            self.keeps_alive = False
            return
        self.has_started = True
        had_head, waiting_bytes = self.has_head, self.waiting_bytes
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as err:  # nobody asked for an upgrade
            self.keeps_alive = False
            if not self.is_complete:
                raise UpstreamDown(_NOT_HTTP) from err
        if not had_head:
            self._check_head()
        if had_head and self.waiting_bytes > waiting_bytes:
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
        """What llhttp lets pass and nobody here can use."""
        if self.status and not 100 <= self.status <= 599:
            raise UpstreamDown(_NOT_HTTP)
        coding = self.headers.get(b"transfer-encoding")
        if coding is not None and coding.strip().lower() != b"chunked":  # we say that we take no other
            raise UpstreamDown("the upstream server's answer has a transfer coding that was not asked for")

    def end(self) -> None:
        """The server sends no more. Raises UpstreamDown when anything of the answer is missing."""
        self.keeps_alive = False
        if self.is_complete:
            return
        # Neither a length nor chunks were promised: the body ends with the connection (RFC 9112 §6.3).
        if self.has_head and not self.headers.keys() & {b"content-length", b"transfer-encoding"}:
            self.is_complete = True
            return
        raise UpstreamDown("the upstream server broke off its answer")

    def take(self) -> bytes:
        """The next of the body: all that has come when it is little, else a piece as it came."""
        pieces = self.pieces
        if self.waiting_bytes <= _JOIN_BYTES or len(pieces) == 1:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            pieces.clear()
        else:
            data = pieces.pop(0)
        self.waiting_bytes -= len(data)
        return data

    def close(self) -> None:
        """No more will come: give the parser up, whose callbacks refer back to here."""
        self._parser = None

    # What follows is called by the parser.

    def on_message_begin(self) -> None:
        if self.is_complete:
            self.keeps_alive = False
            self._is_interim = True    # whatever this is, no request of ours asked for it

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.has_head:  # trailers are of no use here
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
            self.is_complete = True    # and if a body follows nevertheless, the connection ends

    def on_body(self, data: bytes) -> None:
        if not self.is_complete:
            self.pieces.append(data)
            self.waiting_bytes += len(data)

    def on_message_complete(self) -> None:
        if self._is_interim:
            self._is_interim = False
        elif self._parser is not None:
            self.is_complete = True
            self.keeps_alive = self._parser.should_keep_alive()
