"""The fuzzer sees what is wrong: a server that is so in each way, and one that is not."""

import json
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from tests.fuzz import passes
from tests.fuzz.passes import EXAMPLES, FUZZING, STATEFUL, Pass, Report

NUMBER = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        """Nothing on the screen."""


@pytest.fixture
def listen():
    """Call with a WSGI application to have it answer; returns where."""
    servers = []

    def start(app):
        server = make_server("127.0.0.1", 0, app, handler_class=Quiet)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}/openapi.json"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def serve(listen):
    """Call with an answer (status, media type, body) to serve a document of one operation that
    answers so; returns the document's address.
    """

    def start(status, media_type, body):
        schema = document(
            {
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
            }
        )

        def app(environ, respond):
            if environ["PATH_INFO"] == "/openapi.json":
                respond("200 OK", [("Content-Type", "application/json")])
                return [schema]
            if environ["REQUEST_METHOD"] != "GET":
                respond("405 Method Not Allowed", [("Allow", "GET")])
                return [b""]
            respond(status, [("Content-Type", media_type)])
            return [body.encode()]

        return listen(app)

    return start


def document(paths):
    schema = {"openapi": "3.1.0", "info": {"title": "one", "version": "1"}, "paths": paths}
    return json.dumps(schema).encode()


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


MADE = {
    "post": {
        "operationId": "make",
        "responses": {
            "201": {
                "description": "Made.",
                "content": {"application/json": {"schema": NUMBER}},
                "links": {
                    "get": {"operationId": "get", "parameters": {"n": "$response.body#/n"}},
                    "change": {
                        "operationId": "change", "requestBody": {"n": "$response.body#/n"},
                    },
                },
            }
        },
    }
}  # fmt: skip
GONE = {"404": {"description": "It is gone."}}
IN_PATH = {
    "/n/{n}": {
        "get": {
            "operationId": "get",
            "parameters": [
                {"name": "n", "in": "path", "required": True, "schema": {"type": "integer"}}
            ],
            "responses": GONE,
        }
    }
}
IN_BODY = {
    "/n/change": {
        "post": {
            "operationId": "change",
            "requestBody": {"required": True, "content": {"application/json": {"schema": NUMBER}}},
            "responses": GONE,
        }
    }
}


def test_what_was_made_and_is_gone_is_found_where_the_path_names_it(listen):
    schema = document({"/n": MADE, **IN_PATH, **IN_BODY})

    def app(environ, respond):
        if environ["PATH_INFO"] == "/openapi.json":
            respond("200 OK", [("Content-Type", "application/json")])
            return [schema]
        is_new = environ["PATH_INFO"] == "/n" and environ["REQUEST_METHOD"] == "POST"
        head = [("Content-Type", "application/json")] if is_new else []
        respond("201 Created" if is_new else "404 Not Found", head)
        return [b'{"n": 7}' if is_new else b""]

    report = passes.run(listen(app), [Pass("one", {}, (STATEFUL,), 20)], seed=1)
    assert report.statuses["POST /n/change"][404], report.lines()
    found = [key for key in report.failures if key.endswith("resource not found")]
    assert found == ["one: GET /n/{n}: Created resource not found"], report.lines()


def test_an_operation_that_was_never_asked_is_a_failure():
    report = Report(operations=["GET /n", "GET /m"])
    report.statuses["GET /n"][200] += 1
    assert not report.is_good
    assert report.silent == ["GET /m"]
    assert not Report().is_good
