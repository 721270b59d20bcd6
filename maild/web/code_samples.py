"""Code that sends a message, to copy and run as it is: curl, Python, Node, PHP and Go, each with
what the language brings along.

Without a key at hand the code reads it from the environment, as code that is kept should.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

VARIABLE = "MAILD_API_KEY"

Fields = Mapping[str, Union[str, "Fields"]]
"""Of a message: texts, and objects of them."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A program; `run` is the command that runs it, once it is saved as `file`."""

    key: str
    title: str
    code: str
    file: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """What is called: `url`, with the key in `header`; `key` is None where it is not at hand."""

    url: str
    header: str
    message: Fields
    key: str | None = None


def write(call: Call) -> list[Sample]:
    """The samples, in their order."""
    return [
        Sample("curl", "curl", _curl(call)),
        Sample("python", "Python", _python(call), "send.py", "python3 send.py"),
        Sample("node", "Node", _node(call), "send.mjs", "node send.mjs"),
        Sample("php", "PHP", _php(call), "send.php", "php send.php"),
        Sample("go", "Go", _go(call), "send.go", "go run send.go"),
    ]


def _curl(call: Call) -> str:
    header = f"{call.header}: "
    auth = shlex.quote(header + call.key) if call.key else f'"{header}${VARIABLE}"'
    body = json.dumps(dict(call.message), indent=2, ensure_ascii=False)
    return (
        f"curl -sS {shlex.quote(call.url)} \\\n"
        f"  -H {auth} \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}"
    )


def _python(call: Call) -> str:
    key = _text(call.key) if call.key else f'os.environ["{VARIABLE}"]'
    imports = ["json", "urllib.request"] if call.key else ["json", "os", "urllib.request"]
    head = "\n".join(f"import {name}" for name in imports)
    return f"""{head}

message = {{
{_fields(call, "    {}: {},")}
}}
request = urllib.request.Request(
    {_text(call.url)},
    data=json.dumps(message).encode(),
    headers={{{_text(call.header)}: {key}, "Content-Type": "application/json"}},
)
with urllib.request.urlopen(request) as response:
    print(json.load(response)["id"])
"""


def _node(call: Call) -> str:
    key = _text(call.key) if call.key else f"process.env.{VARIABLE}"
    return f"""const message = {{
{_fields(call, "  {}: {},")}
}};
const response = await fetch({_text(call.url)}, {{
  method: "POST",
  headers: {{ {_text(call.header)}: {key}, "Content-Type": "application/json" }},
  body: JSON.stringify(message),
}});
const answer = await response.json();
if (!response.ok) throw new Error(answer.detail);
console.log(answer.id);
"""


def _php(call: Call) -> str:
    key = f"'{call.header}: {call.key}'"
    if not call.key:
        key = f"'{call.header}: ' . getenv('{VARIABLE}')"
    fields = "\n".join(
        f"    {_php_text(name)} => {_php_value(value)}," for name, value in call.message.items()
    )
    return f"""<?php
$message = [
{fields}
];
$context = stream_context_create(['http' => [
    'method' => 'POST',
    'header' => [{key}, 'Content-Type: application/json'],
    'content' => json_encode($message),
    'ignore_errors' => true,
]]);
$answer = file_get_contents({_php_text(call.url)}, false, $context);
echo json_decode($answer, true)['id'] ?? $answer, "\\n";
"""


def _go(call: Call) -> str:
    key = _text(call.key) if call.key else f'os.Getenv("{VARIABLE}")'
    names = ["bytes", "encoding/json", "fmt", "io", "net/http", *([] if call.key else ["os"])]
    imports = "\n".join(f'\t"{name}"' for name in names)
    return f"""package main

import (
{imports}
)

func main() {{
	message, _ := json.Marshal(map[string]any{{
{_go_fields(call)}
	}})
	request, _ := http.NewRequest("POST", {_text(call.url)}, bytes.NewReader(message))
	request.Header.Set({_text(call.header)}, {key})
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {{
		panic(err)
	}}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	fmt.Println(response.Status, string(answer))
}}
"""


def _fields(call: Call, line: str) -> str:
    return "\n".join(line.format(_text(k), _text(v)) for k, v in call.message.items())


def _text(value: str | Fields) -> str:
    """A literal that Python and JavaScript read alike, and of a text Go as well."""
    return json.dumps(value, ensure_ascii=False)


def _go_fields(call: Call) -> str:
    return "\n".join(f"\t\t{_text(k)}: {_go_value(v)}," for k, v in call.message.items())


def _go_value(value: str | Fields) -> str:
    if isinstance(value, str):
        return _text(value)
    inner = ", ".join(f"{_text(k)}: {_go_value(v)}" for k, v in value.items())
    return f"map[string]any{{{inner}}}"


def _php_value(value: str | Fields) -> str:
    if isinstance(value, str):
        return _php_text(value)
    inner = ", ".join(f"{_php_text(k)} => {_php_value(v)}" for k, v in value.items())
    return f"[{inner}]"


def _php_text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
