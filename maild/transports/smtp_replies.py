"""Replies cut from what a server says, within bounds.

In charge of finding where each reply ends, and of not reading any further where what comes is too
long, or no SMTP. Not in charge of what a reply means (`domain.smtp_reply`).
"""

from collections.abc import Iterator

from maild.domain.smtp_reply import ErrorClass, Reply, parse

# The client reads what a stranger's server writes; RFC 5321 4.5.3.1.5 asks for 512 octets a line.
_REPLY_LINE_LIMIT = 4096
_REPLY_LINES_LIMIT = 100


class WireError(Exception):
    """The connection cannot be used any more: why, as a class and as words for a person."""

    def __init__(self, error_class: ErrorClass, text: str) -> None:
        super().__init__(text)
        self.error_class = error_class
        self.text = text


class Replies:
    """Cuts what arrives into replies."""

    __slots__ = ("_lines", "_rest")

    def __init__(self) -> None:
        self._lines: list[bytes] = []  # of a reply of several lines
        self._rest = b""  # of a line

    @property
    def is_partial(self) -> bool:
        """Whether a part of a reply has come, and not its end."""
        return bool(self._rest or self._lines)

    def feed(self, data: bytes) -> Iterator[tuple[int, list[bytes]]]:
        """Each whole reply: its code, and its lines for `parse_reply`.

        Raises WireError (PROTOCOL) where the replies end and something else begins.
        """
        if self._rest:
            data = self._rest + data
        lines = data.split(b"\n")
        self._rest = lines.pop()
        for ended_line in lines:
            line = ended_line.rstrip(b"\r")
            _check_length(ended_line)
            # RFC 5321 4.2.1: a hyphen says that another line follows. "SSH-2.0" does not.
            if line[3:4] == b"-" and line[:3].isdigit():
                self._lines.append(line)
                if len(self._lines) >= _REPLY_LINES_LIMIT:
                    text = f"a reply of over {_REPLY_LINES_LIMIT} lines"
                    raise WireError(ErrorClass.PROTOCOL, text)
            elif self._lines:
                reply_lines = [*self._lines, line]
                self._lines = []
                yield parse_reply(reply_lines).code, reply_lines
            else:
                yield _code(line), [line]
        _check_length(self._rest)


def parse_reply(lines: list[bytes]) -> Reply:
    """The reply that these lines make; raises WireError (PROTOCOL)."""
    try:
        return parse(lines)
    except ValueError as error:
        raise WireError(ErrorClass.PROTOCOL, str(error)) from error


def _code(line: bytes) -> int:
    """The code of a reply of one line, which is not read any further where nobody asks."""
    try:
        code = int(line[:3])
    except ValueError:
        code = 0
    if 200 <= code <= 599 and line[3:4] in (b" ", b""):
        return code
    return parse_reply([line]).code


def _check_length(line: bytes) -> None:
    if len(line) > _REPLY_LINE_LIMIT:
        text = f"a reply line of over {_REPLY_LINE_LIMIT} octets"
        raise WireError(ErrorClass.PROTOCOL, text)
