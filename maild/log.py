"""Structured logs: one line per fact, with the request, workspace and message it is about.

`bind(...)` adds fields to every later line of the current request or task. Secrets never get out:
values under a name that smells of one are replaced, whoever logs them, and so is an API key of a
workspace wherever it stands.
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog

from maild import metrics

_SECRET_WORDS = (
    "password",
    "token",
    "secret",
    "api_key",
    "authorization",
    "dsn",
    "cookie",
    "encryption_key",
)
REDACTED = "[redacted]"
_API_KEY = re.compile(r"(mk_[A-Za-z0-9_-]{8})[A-Za-z0-9_-]{12,}")
"""A workspace's API key; its beginning may be seen."""

get = structlog.get_logger
bind = structlog.contextvars.bind_contextvars
clear = structlog.contextvars.clear_contextvars


def configure(level: str, *, fmt: str, is_program: bool = False) -> None:
    """Send all logs, ours and the libraries', to standard output as `json` or `console` lines; of a
    program, whose standard output is what it was asked for, to standard error.
    """
    stream = sys.stderr if is_program else sys.stdout
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        redact,
    ]
    if fmt == "json":
        last: list[Any] = [
            structlog.processors.ExceptionRenderer(
                structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
            ),
            structlog.processors.JSONRenderer(),
        ]
    else:
        last = [
            structlog.dev.ConsoleRenderer(
                colors=stream.isatty(),
                pad_event_to=28,
                # Never the local variables of a frame: they hold keys, passwords and bodies.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,  # first: what nobody will see costs nothing more
            *shared,
            _count,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *last,
                _blank_keys,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # Huey and Peewee tell of every step; their warnings are what matters.
    logging.getLogger("huey").setLevel(max(logging.WARNING, root.level))
    logging.getLogger("peewee").setLevel(max(logging.WARNING, root.level))


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: blank every value whose name tells that it is a secret, however deep
    inside.
    """
    return {name: _redacted(name, value) for name, value in event.items()}


def _count(_: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: warnings and worse are counted by their names."""
    if level not in {"debug", "info"}:
        metrics.count_log_line(event.get("event"), str(event["level"]))
    return event


def _blank_keys(_: Any, __: str, line: Any) -> str:
    """The last processor: no line shows a key, under whatever name, in a path or a traceback."""
    return _API_KEY.sub(rf"\1{REDACTED}", str(line))


def _redacted(name: Any, value: Any) -> Any:
    """`value` as it may be shown under `name`; containers are looked through, and copied."""
    if any(word in str(name).lower().replace("-", "_") for word in _SECRET_WORDS):
        return REDACTED
    if isinstance(value, Mapping):
        return {key: _redacted(key, inner) for key, inner in value.items()}
    if type(value) in {list, tuple}:
        return [_redacted("", inner) for inner in value]
    return value
