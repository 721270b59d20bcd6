"""The relaxed canonical form of headers and bodies that DKIM signs (RFC 6376 3.4.2, 3.4.4). Pure.

Every message that is signed goes through here: no regular expression, and no line is looked at by
itself where a search through all of the body does.
"""

from collections.abc import Mapping


def canonical_body(body: bytes) -> bytes:
    """Runs of white space are one space, none stands at the end of a line, no empty line at the
    end of the body. `body` has CRLF line ends only.
    """
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    if b"\t" in body:
        body = body.replace(b"\t", b" ")
    while b"  " in body:
        body = body.replace(b"  ", b" ")
    body = body.replace(b" \r\n", b"\r\n").rstrip(b"\r\n")
    return body + b"\r\n" if body else b""


def canonical_field(field: bytes) -> bytes:
    """One field, folded or not: its name in lower case, its value on one line, with its CRLF."""
    name, _, value = field.partition(b":")
    # Not `split()`, which would take more than WSP for white space.
    flat = value.replace(b"\r\n", b"").replace(b"\t", b" ")
    words = b" ".join([word for word in flat.split(b" ") if word])
    return b"%s:%s\r\n" % (name.rstrip(b" \t").lower(), words)


def collect_fields(head: bytes, names: Mapping[bytes, str]) -> dict[str, list[bytes]]:
    """The canonical fields of a head by name, in order, of those that `names` has: the name in
    lower case, and what it is called in the answer.
    """
    found: dict[str, list[bytes]] = {}
    lines = head.split(b"\r\n")
    begin = 0
    while begin < len(lines):
        end = begin + 1
        while end < len(lines) and lines[end][:1] in {b" ", b"\t"}:
            end += 1
        name = names.get(lines[begin].partition(b":")[0].rstrip(b" \t").lower())
        if name is not None:
            field = b"\r\n".join(lines[begin:end])
            found.setdefault(name, []).append(canonical_field(field))
        begin = end
    return found
