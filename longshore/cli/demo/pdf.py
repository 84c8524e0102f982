"""Writes a small valid PDF with one page of text. Pure."""

_LINE_HEIGHT = 18
_TOP = 780
_LEFT = 56


def page(title: str, lines: list[str]) -> bytes:
    """Write one A4 page: `title` in large type, `lines` below it (PDF 32000-1:2008 §7.5)."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        _stream(_text(title, lines)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")  # the second line marks the file as binary
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    for offset in offsets:
        out += b"%010d 00000 n \n" % offset
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def _stream(content: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%b\nendstream" % (len(content), content)


def _text(title: str, lines: list[str]) -> bytes:
    shown = [b"BT /F1 22 Tf %d TL %d %d Td (%b) Tj T*" % (2 * _LINE_HEIGHT, _LEFT, _TOP, _literal(title))]
    shown.append(b"/F1 11 Tf %d TL" % _LINE_HEIGHT)
    shown += [b"(%b) Tj T*" % _literal(line) for line in lines]
    return b"\n".join([*shown, b"ET"])


def _literal(text: str) -> bytes:
    """Encode a literal string, with parentheses and backslashes escaped (§7.3.4.2)."""
    encoded = text.encode("cp1252", errors="replace").replace(b"\r", b" ").replace(b"\n", b" ")
    return encoded.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
