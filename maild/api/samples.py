"""How an operation is called, to copy and run: with curl, and with Python and nothing beside it.

The key is read from the environment, as code that is kept should.
"""

import json
import shlex
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

VARIABLE = "MAILD_API_KEY"


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `key_header` is None where no key is asked for; `body` is a text where it is no
    JSON.
    """

    method: str
    url: str
    key_header: str | None
    query: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None
    media_type: str = "application/json"
    answer_type: str = "application/json"

    @property
    def address(self) -> str:
        return f"{self.url}?{urlencode(self.query)}" if self.query else self.url

    @property
    def sent(self) -> dict[str, str]:
        """The headers, but for the key's."""
        typed = {} if self.body is None else {"Content-Type": self.media_type}
        return {**self.headers, **typed}


def curl(call: Call) -> str:
    """For a shell."""
    words = ["curl -sS"]
    if call.method != ("GET" if call.body is None else "POST"):
        words[0] += f" -X {call.method}"
    words[0] += f" {shlex.quote(call.address)}"
    if call.key_header:
        words.append(f'-H "{call.key_header}: ${VARIABLE}"')
    words += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in call.sent.items()]
    if call.body is not None:
        words.append(f"--data-binary {shlex.quote(_text(call))}")
    return " \\\n  ".join(words)


def python(call: Call) -> str:
    """For Python 3, with its standard library."""
    is_json = call.answer_type == "application/json"
    imports = ["json"] if is_json or _is_json_body(call) else []
    imports += ["os"] if call.key_header else []
    lines = [f"import {name}" for name in (*imports, "urllib.request")]
    if call.body is not None:
        lines += ["", f"body = {_literal(call.body)}"]
    headers = [f'{_literal(call.key_header)}: os.environ["{VARIABLE}"],'] * bool(call.key_header)
    headers += [f"{_literal(name)}: {_literal(value)}," for name, value in call.sent.items()]
    lines += ["", "request = urllib.request.Request(", f"    {_literal(call.address)},"]
    lines.append(f'    method="{call.method}",')
    if headers:
        lines += ["    headers={", *(f"        {line}" for line in headers), "    },"]
    if call.body is not None:
        data = "json.dumps(body).encode()" if _is_json_body(call) else "body.encode()"
        lines.append(f"    data={data},")
    lines += [")", "with urllib.request.urlopen(request) as response:"]
    lines.append(f"    print({'json.load(response)' if is_json else 'response.read().decode()'})")
    return "\n".join(lines)


def _is_json_body(call: Call) -> bool:
    return call.body is not None and not isinstance(call.body, str)


def _text(call: Call) -> str:
    return json.dumps(call.body, indent=2, ensure_ascii=False) if _is_json_body(call) else call.body


def _literal(value: Any, columns: int = 0) -> str:
    """A value of JSON in Python's own words."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or not value:
        return repr(value)
    inner = " " * (columns + 4)
    if isinstance(value, dict):
        lines = [f"{_literal(k)}: {_literal(v, columns + 4)}" for k, v in value.items()]
    else:
        lines = [_literal(item, columns + 4) for item in value]
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    body = "".join(f"{inner}{line},\n" for line in lines)
    return f"{opening}\n{body}{' ' * columns}{closing}"
