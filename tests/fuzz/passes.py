"""Fuzzing the whole API: requests made from the OpenAPI document against a server that runs.

In charge of the passes (who asks, and how hard) and of what they find. A pass fails where an answer
is a server's error, is not in the document (its status, media type, headers or schema), or takes
what the document forbids; and the whole fails where an operation was never asked.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.engine import events, from_schema
from schemathesis.generation.meta import GenerationMode

EXAMPLES, COVERAGE, FUZZING, STATEFUL = "examples", "coverage", "fuzzing", "stateful"
_ALL = (EXAMPLES, COVERAGE, FUZZING, STATEFUL)

# What a schema cannot say (that an address is one, that a name is taken) is refused with 400, 409
# or 422, which the document has: good data may be refused, and that is no finding.
_OFF = {"positive_data_acceptance": {"enabled": False}}
# The fuzzer knows what it has just made by the path alone. Where the body names what is wanted,
# that may be another one, which was deleted long ago.
_NAMED_IN_BODY = {
    "include-path-regex": "^[^{]*$",
    "checks": {"ensure_resource_availability": {"enabled": False}},
}
# A bad entry of a batch is rejected in its place, with 200 for the whole.
_BATCH = {
    "include-operation-id": ["submit_batch", "save_contacts"],
    "checks": {"negative_data_rejection": {"enabled": False}},
}

Rows = Callable[[str, Any], Any]


@dataclass(frozen=True, slots=True)
class Pass:
    """One way through all operations. `rows(operation_id, body)` puts ids that are there into a
    body that is otherwise good; `path` does so in paths.
    """

    name: str
    headers: dict[str, str]
    phases: tuple[str, ...]
    examples: int = 1
    path: dict[str, Any] = field(default_factory=dict)
    rows: Rows | None = None


@dataclass(slots=True)
class Report:
    """What came of it: the statuses of each operation, and the failures, each once."""

    operations: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    failures: dict[str, str] = field(default_factory=dict)

    @property
    def silent(self) -> list[str]:
        """The operations that were never asked."""
        return [name for name in self.operations if not self.statuses[name]]

    @property
    def is_good(self) -> bool:
        return bool(self.operations) and not self.failures and not self.silent

    def lines(self) -> list[str]:
        """For people."""
        found = []
        for name in self.operations:
            counts = sorted(self.statuses[name].items())
            told = " ".join(f"{status}:{count}" for status, count in counts) or "never asked"
            found.append(f"{sum(self.statuses[name].values()):7} {name:62} {told}")
        total = sum(sum(counter.values()) for counter in self.statuses.values())
        found.append(f"{total} requests, {len(self.operations)} operations,")
        found[-1] += f" {len(self.failures)} failures, {len(self.silent)} never asked"
        for key, text in self.failures.items():
            found += ["", key, text]
        return found


@schemathesis.serializer("message/rfc822", "text/csv")
def _as_text(_context: Any, value: Any) -> bytes:
    return str(value).encode("utf-8", "replace")


def run(url: str, passes: Sequence[Pass], *, seed: int) -> Report:
    """Go through the document at `url` in each way; `seed` decides what is asked."""
    report = Report()
    for one in passes:
        _run(url, one, seed, report)
    return report


def _run(url: str, one: Pass, seed: int, report: Report) -> None:
    config = schemathesis.Config.from_dict(
        {
            "seed": seed,
            "continue-on-failure": True,
            "suppress-health-check": ["all"],
            "headers": one.headers,
            "parameters": {f"path.{name}": value for name, value in one.path.items()},
            "generation": {
                "max-examples": one.examples,
                "database": "none",
                "no-shrink": True,
                "with-security-parameters": False,  # the headers of the pass are the key
            },
            "checks": _OFF,
            "phases": {name: {"enabled": name in one.phases} for name in _ALL},
            "operations": [_NAMED_IN_BODY, _BATCH],
            "warnings": False,
        }
    )
    schema = schemathesis.openapi.from_url(url, config=config)
    _filling.rows = one.rows
    report.operations = sorted(
        {found.ok().label for found in schema.get_all_operations()} | set(report.operations)
    )
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            _count(event.recorder, one, report)
        elif isinstance(event, events.NonFatalError):
            report.failures[f"{one.name}: {event.label}"] = str(event.info)
        elif isinstance(event, events.FatalError):
            raise event.exception


class _Filling:
    """The pass whose good bodies are filled: hooks of this kind are for all passes."""

    rows: Rows | None = None


_filling = _Filling()


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: Any) -> None:
    """Put rows that are there into a body that is otherwise good."""
    if _filling.rows is None or not isinstance(case.body, dict):
        return
    meta = case.meta
    if meta is not None and meta.generation.mode is GenerationMode.POSITIVE:
        case.body = _filling.rows(case.operation.definition.raw["operationId"], case.body)


def _count(recorder: Any, one: Pass, report: Report) -> None:
    for case_id, interaction in recorder.interactions.items():
        if interaction.response is not None and case_id in recorder.cases:
            label = recorder.cases[case_id].value.operation.label
            report.statuses[label][interaction.response.status_code] += 1
    for case_id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is None:
                continue
            label = recorder.cases[case_id].value.operation.label
            failure = check.failure_info.failure
            key = f"{one.name}: {label}: {failure.title}"
            told = f"{failure.message}\n{check.failure_info.code_sample}"
            report.failures.setdefault(key, told)
