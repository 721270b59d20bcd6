"""The numbers of several processes in one folder, and of those that have ended."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from maild import metrics
from maild.metrics import values

CHILD = """
import sys
from pathlib import Path
from maild import metrics
count, name = int(sys.argv[2]), sys.argv[3]
metrics.REPLAYED.inc(count - 1)  # before the settings are known
metrics.keep_in(Path(sys.argv[1]), name=name)
metrics.REPLAYED.inc()
metrics.JOBS.labels("a", "done").inc(count)
metrics.observe_many(metrics.SMTP_STAGE.labels("data"), [0.0005, 0.02, 400.0])
metrics.OUTCOMES_WAITING.set(count)
print("counted", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where this process keeps its numbers too, for the length of a test."""
    metrics.keep_in_memory()
    metrics.keep_in(tmp_path / "metrics", name="test")
    yield tmp_path / "metrics"
    metrics.keep_in_memory()


def start(folder: Path, count: int, name: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", CHILD, str(folder), str(count), name]
    pipe = subprocess.PIPE
    child = subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "counted\n"
    return child


def numbers(folder: Path) -> dict[str, float]:
    return {
        "".join([sample.name, *sample.labels.values()]): sample.value
        for metric in values.collect(folder)
        for sample in metric.samples
    }


def test_all_processes_are_added_up_and_the_ended_stay_counted(folder: Path) -> None:
    metrics.REPLAYED.inc(100)
    first, second = start(folder, 3, "web"), start(folder, 4, "worker")
    found = numbers(folder)
    assert found["maild_idempotent_replays_total"] == 107
    assert found["maild_jobs_totaladone"] == 7
    assert found["maild_outcomes_waiting"] == 7
    assert {kind for kind, _ in values.list_processes(folder)} == {"test", "web", "worker"}
    first.communicate()
    found = numbers(folder)
    assert found["maild_idempotent_replays_total"] == 107
    assert found["maild_outcomes_waiting"] == 4  # nobody holds those of the first any more
    second.communicate()
    for _ in range(2):  # and no more for being read twice
        found = numbers(folder)
        assert found["maild_idempotent_replays_total"] == 107
        assert found["maild_smtp_stage_seconds_bucketdata0.001"] == 2
        assert found["maild_smtp_stage_seconds_bucketdata0.025"] == 4
        assert found["maild_smtp_stage_seconds_countdata"] == 6
        assert found["maild_smtp_stage_seconds_sumdata"] == pytest.approx(800.041)
    assert {path.stem.split("_")[-1] for path in folder.glob("*.db")} == {
        values.DEAD,
        *(path.stem.split("_")[-1] for path in folder.glob("counter_test-*.db")),
    }
    assert [kind for kind, _ in values.list_processes(folder)] == ["test"]


def test_a_process_with_the_number_of_an_ended_one_is_another(folder: Path) -> None:
    metrics.REPLAYED.inc(5)
    [mine] = folder.glob("counter_test-*.db")
    pid = mine.stem.split("-")[1]
    mine.rename(folder / f"counter_web-{pid}-1.db")  # it began at another time
    assert numbers(folder)["maild_idempotent_replays_total"] == 5
    assert (folder / f"counter_{values.DEAD}.db").exists()
    assert not (folder / f"counter_web-{pid}-1.db").exists()


def test_many_observations_are_those_of_one_by_one() -> None:
    given = [0.0, 0.001, 0.0011, 0.3, 299.0, 300.0, 301.0]
    one_by_one, at_once = metrics.SMTP_STAGE.labels("one"), metrics.SMTP_STAGE.labels("many")
    for each in given:
        one_by_one.observe(each)
    metrics.observe_many(at_once, given)
    metrics.observe_many(at_once, [])

    def told(stage: str) -> list[float | None]:
        names = [("maild_smtp_stage_seconds_sum", {}), ("maild_smtp_stage_seconds_count", {})]
        bounds = ("0.001", "0.005", "0.5", "300.0", "+Inf")
        names += [("maild_smtp_stage_seconds_bucket", {"le": bound}) for bound in bounds]
        get = metrics.REGISTRY.get_sample_value
        return [get(name, {"stage": stage, **labels}) for name, labels in names]

    assert told("many") == told("one")
    assert told("one")[1] == 7


def test_accounts_beyond_many_share_a_label() -> None:
    labels = {metrics.account_label(account_id) for account_id in range(-1, metrics.MANY + 20)}
    assert len(labels) <= metrics.MANY + 3
    assert {"default", "none", metrics.OTHER} <= labels


def test_only_names_from_the_source_are_counted() -> None:
    before = set(metrics.LOG_EVENTS._metrics)
    for event in ("Connection to ann@example.org lost", "x" * 90 + ".y", None, 7, "a.b.c"):
        metrics.count_log_line(event, "error")
    assert set(metrics.LOG_EVENTS._metrics) == before
