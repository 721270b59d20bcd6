"""What the connections of one sink process share: its mode, its counters, and the ledger.

In charge of the ledger's line being on the disk before anybody hears of it. `sink_smtp.py` speaks,
`sink.py` changes the mode.
"""

import os
import sys
import time
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

MESSAGES, CONNECTIONS, REFUSED = range(3)
"""The places of the counters."""


class Mode(Enum):
    """How the whole server behaves, whatever the recipients order."""

    OK = "ok"
    REFUSE = "refuse"
    """Nobody listens, and the open connections are cut."""
    AUTHFAIL = "authfail"
    """No sign-in succeeds (535), and nobody sends without one (530)."""
    THROTTLE = "throttle"
    """Every recipient is refused because of the rate, by 421 and 450 in turn."""
    DEFER = "defer"
    """Every recipient is put off, by 451: the server has trouble of its own."""
    SILENT = "silent"
    """Connections are accepted, and nothing is ever said."""


class Ledger:
    """The file of what was accepted: `<unix time> <Message-ID> <recipient>`, a line each.

    Several processes append to it: a line is one write, and O_APPEND puts it at the end.
    """

    def __init__(self, path: Path, *, fsync: bool) -> None:
        """Raises OSError."""
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._fsync = fsync

    def add(self, message_id: bytes, recipients: list[bytes]) -> None:
        """Returns when the lines are on the disk. Raises OSError."""
        start = b"%.6f %b " % (time.time(), message_id)
        lines = b"".join(start + recipient + b"\n" for recipient in recipients)
        if os.write(self._file, lines) != len(lines):
            raise OSError("the ledger took only a part of a line")
        if self._fsync:
            os.fsync(self._file)


class Connection(Protocol):
    """What may be done to a connection from outside."""

    def mute(self) -> None:
        """Say nothing more, and forget what is said to us."""

    def cut(self, *, muted_only: bool = False) -> None:
        """End the connection at once, without sending what is left to send."""


@dataclass(slots=True)
class Shared:
    """What the connections of one process share. Another process has a greylist of its own."""

    counters: memoryview
    ledger: Ledger | None = None
    delay_seconds: float = 0.0
    max_messages: int = sys.maxsize
    mode: Mode = Mode.OK
    throttled_count: int = 0
    greylisted: set[tuple[bytes, bytes]] = field(default_factory=set)
    open: set[Connection] = field(default_factory=set)
