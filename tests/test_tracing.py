"""Traces: one of each message from the call to the reply, and nothing of what it says."""

import sys
import threading
import uuid
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from maild import clock, tracing
from maild.domain.ids import new_id
from maild.errors import ConfigError
from tests.api.conftest import MESSAGE, Api

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans():
    """Call to have the spans that were made since, by name."""
    exporter = InMemorySpanExporter()
    tracing.use(tracing.make_tracer("test", SimpleSpanProcessor(exporter)))

    def read():
        found = {span.name: span for span in exporter.get_finished_spans()}
        exporter.clear()
        return found

    yield read
    tracing.use(None)


@pytest.mark.proves("run-traces")
def test_a_message_has_one_trace_from_the_call_to_the_reply(client, inbox, deliver, spans):
    answer = Api(client)("POST", "/v1/messages", json=MESSAGE, headers={"traceparent": TRACEPARENT})
    message_id = uuid.UUID(answer.json["id"])
    assert deliver() == 1
    found = spans()
    request, accepted = found["POST /v1/messages"], found["message.accept"]
    attempt, dot = found["message.attempt"], found["smtp.final_dot"]
    assert request.context.trace_id == int(TRACEPARENT.split("-")[1], 16)
    assert request.attributes["maild.request_id"] == answer.headers["X-Request-ID"]
    assert accepted.context.trace_id == attempt.context.trace_id == message_id.int
    assert accepted.parent is None
    assert accepted.links[0].context.span_id == request.context.span_id
    assert attempt.parent.span_id == accepted.context.span_id
    assert dot.parent.span_id == attempt.context.span_id
    assert (attempt.attributes["maild.status"], attempt.attributes["smtp.code"]) == ("sent", 250)
    assert attempt.start_time <= dot.start_time <= dot.end_time <= attempt.end_time


def test_what_is_inside_a_span_ends_with_it_at_the_latest(spans):
    for milliseconds in range(1, 200):
        after, seconds = 0.3 * milliseconds / 1000, 0.7 * milliseconds / 1000
        last = tracing.Part("last", after, seconds)
        tracing.record_message(
            "whole", uuid.uuid4(), seconds=after + seconds, attributes={}, parts=[last]
        )
        found = spans()
        whole, part = found["whole"], found["last"]
        assert whole.start_time <= part.start_time <= part.end_time <= whole.end_time


def test_spans_tell_nothing_that_was_written(client, inbox, deliver, spans):
    Api(client).submit(subject="A secret subject", body_text="A secret body")
    deliver()
    told = " ".join(span.to_json() for span in spans().values())
    for text in (MESSAGE["to_email"], MESSAGE["from_email"], "secret", "change-me"):
        assert text not in told


def test_what_was_refused_or_answered_before_begins_no_trace_of_a_message(client, spans):
    api = Api(client)
    assert api.submit(to_email="nobody").status_code == 422
    assert "message.accept" not in spans()
    for is_first in (True, False):
        api("POST", "/v1/messages", json=MESSAGE, headers={"Idempotency-Key": "k1"})
        assert ("message.accept" in spans()) is is_first


def test_where_they_are_off_nothing_is_made(client):
    assert not tracing.is_on()
    assert Api(client).submit().status_code == 201


@pytest.mark.parametrize("sampler", ["traceidratio", "parentbased_traceidratio"])
def test_a_share_of_the_messages_is_traced_as_a_whole(monkeypatch, sampler):
    """What is left out by the sampler where it is accepted is left out where it is sent."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    exporter = InMemorySpanExporter()
    tracing.use(tracing.make_tracer("test", SimpleSpanProcessor(exporter)))
    try:
        for _ in range(400):
            message_id = new_id(clock.now())
            tracing.begin_request()
            tracing.note_accepted([message_id])
            tracing.record_request("r", seconds=0.1, headers=(), attributes={}, is_error=False)
            parts = [tracing.Part("smtp.helo", 0, 0.1)]
            tracing.record_message("attempt", message_id, seconds=1, attributes={}, parts=parts)
    finally:
        tracing.use(None)
    by_name = {}
    for span in exporter.get_finished_spans():
        by_name.setdefault(span.name, set()).add(span.context.trace_id)
    assert by_name["message.accept"] == by_name["attempt"] == by_name["smtp.helo"]
    assert 40 < len(by_name["attempt"]) < 180  # of 400 a quarter, and luck


def test_they_go_to_the_endpoint_that_is_set():
    received = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append((self.path, ExportTraceServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    try:
        provider = tracing.start(f"http://127.0.0.1:{server.server_port}", process="worker")
        tracing.record_message("attempt", uuid.uuid4(), seconds=0.1, attributes={})
        provider.shutdown()
        thread.join(10)
    finally:
        tracing.use(None)
        server.server_close()
    [(path, request)] = received
    assert path == "/v1/traces"
    [resource] = request.resource_spans
    names = {one.key: one.value.string_value for one in resource.resource.attributes}
    assert names["service.name"] == "maild-worker"
    assert resource.scope_spans[0].spans[0].name == "attempt"


def test_where_it_is_not_installed_it_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigError, match=r"requirements/tracing\.txt"):
        tracing.start("http://127.0.0.1:4318", process="web")
    assert not tracing.is_on()
