"""The desk: a process that calls maild's services in the middle of the flow, as a person would.

It is a process of its own, because the services know one database a process, and the tests have
theirs. `python -m tests.crash.desk` reads commands from its input, a JSON list a line, and answers
each with a JSON line when it is committed. `Desk` is the other end.
"""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from maild import config, db
from maild.domain.freeze import FreezeKind
from maild.models import Freeze
from maild.services import conservation, freezes, processes, suppressions
from tests.crash.rig import ROOT, Rig


class Desk:
    """Commands to the desk's process; each returns when it is committed."""

    def __init__(self, rig: Rig) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.desk"],
            cwd=ROOT,
            env=rig.env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def close(self) -> None:
        """It ends when its input does."""
        self._process.communicate()

    def suppress(self, workspace_id: int, email: str) -> float:
        """Returns when it was surely in force: the time after its commit."""
        return float(self._ask("suppress", workspace_id, email))

    def freeze(self, workspace_id: int, stream: str) -> tuple[int, float]:
        """Returns the freeze's id, and the time after its commit."""
        freeze_id, at = self._ask("freeze", workspace_id, stream)
        return int(freeze_id), float(at)

    def lift(self, freeze_id: int) -> float:
        """Returns the time before the freeze was lifted."""
        return float(self._ask("lift", freeze_id))

    def differences(self) -> dict[int, int]:
        """What conservation finds missing, by workspace."""
        return {int(key): value for key, value in self._ask("conservation").items()}

    def _ask(self, *words: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(words) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the desk's process has ended"
        return json.loads(line)


def _do(command: str, *words: Any) -> Any:
    match command:
        case "suppress":
            suppressions.add(words[0], words[1], reason="asked", source="crash test")
            return time.time()
        case "freeze":
            freeze = freezes.start(
                words[0],
                kind=FreezeKind.STREAM,
                target=words[1],
                reason="crash test",
                expires_at=datetime.now(UTC) + timedelta(hours=1),
            )
            return freeze.id, time.time()
        case "lift":
            before = time.time()
            freezes.lift(Freeze.get_by_id(words[0]))
            return before
        case "conservation":
            return {b.workspace_id: b.difference for b in conservation.check()}
    raise ValueError(command)


def main() -> None:
    """Answer until the input ends; what PostgreSQL is away for is tried again."""
    answers, sys.stdout = sys.stdout, sys.stderr  # log lines are no answers
    processes.start(config.load(), name="desk", pool_size=2)
    for line in sys.stdin:
        words = json.loads(line)
        while True:
            try:
                with db.connection():
                    answer = _do(*words)
                break
            except Exception as error:
                print(error, file=sys.stderr)
                time.sleep(0.2)
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
