"""The fuzzer sees what is wrong: a server that is so in each way, and one that is not."""

import json
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from tests.fuzz import passes
from tests.fuzz.passes import EXAMPLES, FUZZING, Pass, Report

NUMBER = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Nothing on the screen."""


@pytest.fixture
def serve():
    """Call with an answer (status, media type, body) to serve a document of one operation that
    answers so; returns the document's address.
    """
    servers = []

    def start(status, media_type, body):
        schema = {
            "openapi": "3.1.0",
            "info": {"title": "one", "version": "1"},
            "paths": {
                "/n": {
                    "get": {
                        "operationId": "get_n",
                        "responses": {
                            "200": {
                                "description": "Done.",
                                "content": {"application/json": {"schema": NUMBER}},
                            }
                        },
                    }
                }
            },
        }

        def app(environ, respond):
            if environ["PATH_INFO"] == "/openapi.json":
                respond("200 OK", [("Content-Type", "application/json")])
                return [json.dumps(schema).encode()]
            if environ["REQUEST_METHOD"] != "GET":
                respond("405 Method Not Allowed", [("Allow", "GET")])
                return [b""]
            respond(status, [("Content-Type", media_type)])
            return [body.encode()]

        server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/openapi.json"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def run(url):
    return passes.run(url, [Pass("one", {}, (EXAMPLES, FUZZING))], seed=1)


def test_a_good_server_is_good(serve):
    report = run(serve("200 OK", "application/json", '{"n": 1}'))
    assert report.is_good, report.lines()
    assert report.statuses["GET /n"][200] >= 1
    assert "1 operations, 0 failures, 0 never asked" in report.lines()[-1]


@pytest.mark.parametrize(
    ("status", "media_type", "body", "what"),
    [
        ("500 Internal Server Error", "application/json", '{"n": 1}', "Server error"),
        ("418 I'm a teapot", "application/json", '{"n": 1}', "status"),
        ("200 OK", "text/html", "<p>1</p>", "content"),
        ("200 OK", "application/json", '{"n": "one"}', "schema"),
    ],
)
def test_what_is_wrong_is_found(serve, status, media_type, body, what):
    report = run(serve(status, media_type, body))
    assert not report.is_good
    assert any(what.lower() in key.lower() for key in report.failures), report.failures


def test_an_operation_that_was_never_asked_is_a_failure():
    report = Report(operations=["GET /n", "GET /m"])
    report.statuses["GET /n"][200] += 1
    assert not report.is_good
    assert report.silent == ["GET /m"]
    assert not Report().is_good
