"""The samples really work: run as a person does who copies them, against a server that listens."""

import json
import os
import shutil
import subprocess
import threading
import uuid

import pytest
from werkzeug.serving import make_server

from maild.domain.actor import SYSTEM
from maild.domain.role import Role
from maild.models import Message
from maild.services import api_keys
from maild.services.api_keys import NewApiKey
from maild.web import code_samples
from maild.web.code_samples import Call
from tests.conftest import WORKSPACE_A

MESSAGE = {
    "from_email": "o'hara@example.com",
    "to_email": "ann@example.org",
    "subject": 'Grüße, "Ann" \\ $HOME',
    "body_text": "It works.",
}
KEYS = ("curl", "python", "node", "php", "go")
RUN = {
    "curl": ("sh", "send.sh"),
    "python": ("python3", "send.py"),
    "node": ("node", "send.mjs"),
    "php": ("php", "send.php"),
    "go": ("go", "run", "send.go"),
}


@pytest.fixture
def url(app):
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1/messages"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def key(database):
    new = NewApiKey(name="samples", role=Role.SENDER.value)
    return api_keys.create(WORKSPACE_A, new, by=SYSTEM)[1]


def sample(language, **call):
    found = {one.key: one for one in code_samples.write(Call(**call))}
    assert tuple(found) == KEYS
    return found[language]


@pytest.mark.parametrize("is_in_code", [True, False])
@pytest.mark.parametrize("language", KEYS)
def test_it_sends_a_message(tmp_path, url, key, language, is_in_code):
    command = RUN[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    one = sample(
        language, url=url, header="X-API-Key", message=MESSAGE, key=key if is_in_code else None
    )
    assert one.run in ("", " ".join(command))
    assert (key in one.code) == is_in_code
    (tmp_path / command[-1]).write_text(one.code, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYENV_ROOT": ""}
    if not is_in_code:
        environment["MAILD_API_KEY"] = key
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    message = Message.get()
    assert str(message.id) in done.stdout
    assert (message.from_email, message.to_email, message.subject) == (
        MESSAGE["from_email"],
        MESSAGE["to_email"],
        MESSAGE["subject"],
    )


@pytest.mark.parametrize("language", KEYS)
def test_each_has_the_same_in_it(language):
    code = sample(
        language, url="https://mail.example.com/v1/messages", header="X-Key", message=MESSAGE
    ).code
    assert "https://mail.example.com/v1/messages" in code
    assert "X-Key" in code
    assert "application/json" in code
    assert "MAILD_API_KEY" in code
    assert all(f"{name}" in code for name in MESSAGE)
    assert all(pair in code for pair in ("ann@example.org", "It works."))


def test_a_text_is_the_same_one_in_every_language():
    odd = "a'b\"c\\d\n" + str(uuid.UUID(int=0))
    assert json.loads(code_samples._text(odd)) == odd
    assert code_samples._php_text("a'b\\c") == "'a\\'b\\\\c'"


@pytest.mark.parametrize("language", KEYS)
def test_fields_may_have_fields_of_their_own(language):
    message = {**MESSAGE, "data": {"order": {"number": "o'7"}}}
    code = sample(language, url="https://mail.example.com", header="X-Key", message=message).code
    expected = {
        "php": "'data' => ['order' => ['number' => 'o\\'7']]",
        "go": '"data": map[string]any{"order": map[string]any{"number": "o\'7"}}',
        "curl": '"number": "o\'"\'"\'7"',
    }.get(language, '"data": {"order": {"number": "o\'7"}}')
    assert expected in code
