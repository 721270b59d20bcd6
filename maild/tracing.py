"""OpenTelemetry traces, where OTEL_EXPORTER_OTLP_ENDPOINT is set: one of each message, from the
call that submitted it to the provider's reply.

A message's trace has the message's id, without its hyphens: nothing need be stored or sent along
for the processes to agree on it, and whoever has a message finds its trace. The request that
brought it is in a trace of its own, or of the caller's `traceparent` (W3C Trace Context 3.2); the
message's trace is linked to it.

Spans are made of what is measured anyway, after it is over. Where traces are off, each function is
one comparison. They hold ids, states and times; never addresses, subjects, replies or bodies.
"""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from maild.errors import ConfigError, FieldError

_LOW_64 = (1 << 64) - 1
_NS = 1_000_000_000


class Part(NamedTuple):
    """What a span has inside: a name, when it began, in seconds after the span did, and how long it
    took.
    """

    name: str
    after: float
    seconds: float


class _Tracer(NamedTuple):
    tracer: Any
    provider: Any
    api: Any
    sampler: Any
    propagator: Any


_state: _Tracer | None = None
_ids: ContextVar[tuple[int, int] | None] = ContextVar("trace_ids", default=None)
"""The ids that the next root span is to have."""
_is_of_message: ContextVar[bool] = ContextVar("is_of_message", default=False)
"""Whether the span that begins is in the trace of a message."""
_accepted: ContextVar[list[uuid.UUID] | None] = ContextVar("accepted", default=None)


def start(endpoint: str | None, *, process: str) -> Any:
    """Send this process's spans to `endpoint`; None: there are none. Returns their provider, which
    sends what is left when the process ends, or is told to.

    Everything else, such as OTEL_TRACES_SAMPLER, OpenTelemetry reads from the environment itself.
    Raises ConfigError where its packages are not installed.
    """
    global _state  # noqa: PLW0603 - one process has one tracer
    if endpoint is None:
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError:
        problem = FieldError(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "needs OpenTelemetry: pip install --require-hashes -r requirements/tracing.txt",
        )
        raise ConfigError("1 setting is missing or wrong:", errors=[problem]) from None
    url = f"{endpoint.rstrip('/')}/v1/traces"
    _state = make_tracer(process, BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    return _state.provider


def make_tracer(process: str, processor: Any) -> _Tracer:
    """A tracer whose spans `processor` gets."""
    from opentelemetry import trace
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    provider = TracerProvider(
        resource=Resource.create({"service.name": f"maild-{process}"}),
        id_generator=_make_id_generator(),
    )
    provider.sampler = _make_sampler(provider.sampler)
    provider.add_span_processor(processor)
    return _Tracer(
        provider.get_tracer("maild"),
        provider,
        trace,
        provider.sampler,
        TraceContextTextMapPropagator(),
    )


def use(tracer: _Tracer | None) -> None:
    """Take this tracer from now on; None: make no more spans."""
    global _state  # noqa: PLW0603 - one process has one tracer
    _state = tracer


def is_on() -> bool:
    """Whether spans are made at all."""
    return _state is not None


def begin_request() -> None:
    """From now on this request notes what it accepts."""
    if _state is not None:
        _accepted.set([])


def note_accepted(message_ids: Iterable[uuid.UUID]) -> None:
    """This request has accepted these messages."""
    if _state is not None and (noted := _accepted.get()) is not None:
        noted.extend(message_ids)


def record_request(
    name: str,
    *,
    seconds: float,
    headers: Iterable[tuple[str, str]],
    attributes: Mapping[str, str | int],
    is_error: bool,
) -> None:
    """A request that has just been answered, and the beginning of the trace of each message that it
    accepted. Of `headers` it is the caller's trace that matters.
    """
    if _state is None:
        return
    ended = time.time_ns()
    began = ended - int(seconds * _NS)
    trace = _state.api
    caller = _state.propagator.extract({name.lower(): value for name, value in headers})
    span = _state.tracer.start_span(
        name, context=caller, kind=trace.SpanKind.SERVER, attributes=attributes, start_time=began
    )
    if is_error:
        span.set_status(trace.StatusCode.ERROR)
    span.end(ended)
    links = [trace.Link(span.get_span_context())]
    for message_id in _accepted.get() or ():
        with _message_trace(message_id):
            root = _state.tracer.start_span(
                "message.accept",
                context=trace.set_span_in_context(trace.INVALID_SPAN),
                attributes={**attributes, "maild.message_id": str(message_id)},
                links=links,
                start_time=began,
            )
        root.end(ended)
    _accepted.set(None)


def record_message(
    name: str,
    message_id: uuid.UUID,
    *,
    seconds: float,
    attributes: Mapping[str, str | int],
    parts: Sequence[Part] = (),
    is_error: bool = False,
) -> None:
    """Something that has just been done with a message, in its trace."""
    if _state is None:
        return
    trace = _state.api
    with _message_trace():
        ended = time.time_ns()
        began = ended - int(seconds * _NS)
        sampled = _state.sampler.should_sample(None, message_id.int, name).decision.is_sampled()
        parent = trace.SpanContext(
            message_id.int,
            _root_span_id(message_id),
            is_remote=True,
            trace_flags=trace.TraceFlags(int(sampled)),
        )
        span = _state.tracer.start_span(
            name,
            context=trace.set_span_in_context(trace.NonRecordingSpan(parent)),
            kind=trace.SpanKind.CLIENT,
            attributes={"maild.message_id": str(message_id), **attributes},
            start_time=began,
        )
        if is_error:
            span.set_status(trace.StatusCode.ERROR)
        inside = trace.set_span_in_context(span)
        for part in parts:
            first = began + int(part.after * _NS)
            child = _state.tracer.start_span(part.name, context=inside, start_time=first)
            # A sum of fractions may come out a nanosecond over the whole.
            child.end(min(first + int(part.seconds * _NS), ended))
        span.end(ended)


@contextmanager
def _message_trace(root: uuid.UUID | None = None) -> Iterator[None]:
    """What begins meanwhile is of a message's trace, or is the `root` of it."""
    _is_of_message.set(True)
    _ids.set(None if root is None else (root.int, _root_span_id(root)))
    try:
        yield
    finally:
        _is_of_message.set(False)
        _ids.set(None)


def _root_span_id(message_id: uuid.UUID) -> int:
    """The span of its acceptance, which all others of the message are children of."""
    return message_id.int & _LOW_64 or 1


def _make_id_generator() -> Any:
    """Random ids, but for spans that are told theirs."""
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    class Generator(RandomIdGenerator):
        def generate_trace_id(self) -> int:
            return ids[0] if (ids := _ids.get()) else super().generate_trace_id()

        def generate_span_id(self) -> int:
            return ids[1] if (ids := _ids.get()) else super().generate_span_id()

    return Generator()


def _make_sampler(given: Any) -> Any:
    """The sampler `given`, which sees of a message's id only what is random.

    A share of the traces is found by the last 64 bits of their ids, and two of these are the same
    in every message's id (RFC 9562 4.1): it would have none of the messages, or all.
    """
    from opentelemetry.sdk.trace.sampling import Sampler

    class OfMessages(Sampler):
        def should_sample(
            self, parent_context: Any, trace_id: int, *arguments: Any, **named: Any
        ) -> Any:
            if _is_of_message.get():
                trace_id = trace_id << 2 & _LOW_64
            return given.should_sample(parent_context, trace_id, *arguments, **named)

        def get_description(self) -> str:
            return str(given.get_description())

    return OfMessages()
