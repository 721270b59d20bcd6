"""Alerts, dashboard, runbook, documents and code use the same names."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from flask import Flask

from maild import cli, config, metrics
from maild.domain.incident import IncidentKind
from maild.services import metric_readings
from tests.test_docs import anchors, code, rows

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "deploy/prometheus/alerts.yaml"
RUNBOOK = ROOT / "deploy/runbook.md"
PARTS = ("Meaning", "Check", "Action", "Over when")
DRILLS = (
    "kill a worker",
    "stop Redis",
    "stop PostgreSQL",
    "a provider is down",
    "restore",
    "rotate the keys",
)
PROMETHEUS_LABELS = {"job", "instance", "alertname", "le"}
"""Labels that Prometheus itself gives; ours must have other names."""

_SUFFIX = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",), "gauge": ("",)}
_SELECTOR = re.compile(r"\b(maild_[a-z_]+|up)\b(?:\{([^}]*)\})?")
_LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!=|!~|=)")
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")


def families() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every metric of maild by its documented name: its type and labels."""
    found = {}
    for metric in metrics.REGISTRY._collector_to_names:
        kind, name = str(metric._type), str(metric._name)  # type: ignore[attr-defined]
        full = f"{name}_total" if kind == "counter" else name
        found[full] = kind, tuple(metric._labelnames)  # type: ignore[attr-defined]
    for name, reading in metrics.READINGS.items():
        found[name] = "counter" if name.endswith("_total") else "gauge", reading.labels
    return found


def series() -> dict[str, set[str]]:
    """Every series that a scrape may tell, with its labels."""
    found = {"up": {"job", "instance"}}
    for name, (kind, labels) in families().items():
        if kind == "histogram":
            for suffix in _SUFFIX[kind]:
                found[name + suffix] = {*labels, *({"le"} if suffix == "_bucket" else ())}
        else:
            found[name] = set(labels)
    return found


def complaints(expression: str, legend: str = "") -> Iterator[str]:
    """What is wrong with the names of a query."""
    known = series()
    used: set[str] = set()
    for name, selector in _SELECTOR.findall(expression):
        if name not in known:
            yield f"{name} is no metric"
            continue
        used |= known[name] | {"instance", "job"}
        for label in _LABEL.findall(selector):
            if label not in known[name] | {"instance", "job"}:
                yield f"{name} has no label {label}"
    grouped = {
        label.strip()
        for group in _GROUPING.findall(expression)
        for label in group.split(",")
        if label.strip()
    }
    for label in (grouped | set(re.findall(r"\{\{(\w+)\}\}", legend))) - used:
        yield f"no metric has the label {label}"


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return json.loads((ROOT / "deploy/grafana/maild.json").read_text("utf-8"))["panels"]


def sections() -> dict[str, str]:
    """The runbook's third-level headings, and what stands below each."""
    parts = re.split(r"^#{2,3} (.+)$", RUNBOOK.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_names_that_are_wrong_are_found() -> None:
    wrong = "sum by (nothing) (rate(maild_attempts_total{acount='1'}[5m])) / maild_attempt"
    assert set(complaints(wrong, "{{outcome}} {{nobody}}")) == {
        "maild_attempts_total has no label acount",
        "maild_attempt is no metric",
        "no metric has the label nothing",
        "no metric has the label nobody",
    }


def test_metrics_leave_prometheus_its_labels() -> None:
    for name, (_, labels) in families().items():
        assert not PROMETHEUS_LABELS & set(labels), name
        assert name.startswith("maild_"), name


@pytest.mark.proves("run-alerts")
def test_alerts_use_names_that_exist() -> None:
    found = {rule["alert"]: list(complaints(rule["expr"])) for rule in rules()}
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_alerts_say_how_bad_it_is_what_it_is_and_where_help_stands() -> None:
    there = anchors(RUNBOOK.read_text("utf-8"))
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        told = rule["annotations"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert told["summary"].endswith(".")
        assert told["description"].endswith(".")
        page, _, anchor = told["runbook_url"].partition("#")
        assert (page, anchor) == ("deploy/runbook.md", rule["alert"].lower())
        assert anchor in there
        labels = set(re.findall(r"\$labels\.(\w+)", told["summary"] + told["description"]))
        grouped = {
            label.strip() for group in _GROUPING.findall(rule["expr"]) for label in group.split(",")
        }
        assert labels <= grouped | {"instance"}, rule["alert"]


@pytest.mark.proves("run-alerts")
def test_the_dashboard_uses_names_that_exist() -> None:
    found = {
        (panel["title"], target["expr"]): list(
            complaints(target["expr"], target.get("legendFormat", ""))
        )
        for panel in panels()
        for target in panel.get("targets", ())
    }
    assert len(found) > 50
    assert {query: wrong for query, wrong in found.items() if wrong} == {}


def test_the_dashboard_shows_all_that_is_measured() -> None:
    text = json.dumps(panels())
    unseen = {
        name for name in families() if not re.search(rf"\b{name}(_bucket|_count|_sum)?\b", text)
    }
    assert unseen == {
        "maild_build_info",
        "maild_reading_age_seconds",
        "maild_worker_heartbeat_seconds",
    }


def test_the_dashboard_is_laid_out() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]


@pytest.mark.proves("run-alerts")
def test_every_metric_is_documented_as_it_is() -> None:
    documented = {
        name: (cells[1], tuple(re.findall(r"`(\w+)`", cells[2])), cells[3])
        for cells in rows((ROOT / "docs/metrics.md").read_text("utf-8"))
        if len(cells) == 4 and (name := code(cells[0])) and name.startswith("maild_")
    }
    words = {name: reading.words for name, reading in metrics.READINGS.items()}
    for metric in metrics.REGISTRY._collector_to_names:
        name = str(metric._name)  # type: ignore[attr-defined]
        full = f"{name}_total" if metric._type == "counter" else name  # type: ignore[attr-defined]
        words[full] = str(metric._documentation)  # type: ignore[attr-defined]
    assert documented == {
        name: (kind, labels, words[name]) for name, (kind, labels) in families().items()
    }


@pytest.mark.proves("run-runbook")
def test_the_runbook_has_a_part_for_everything() -> None:
    wanted = {
        *(rule["alert"] for rule in rules()),
        *(f"Incident: {kind.value}" for kind in IncidentKind),
        *(f"Drill: {drill}" for drill in DRILLS),
    }
    groups = {name for name in sections() if name.startswith("Alerts: ")}
    assert sections().keys() - groups - {"How to look", "Incidents", "Drills"} == wanted


@pytest.mark.proves("run-runbook")
def test_each_part_of_the_runbook_says_four_things() -> None:
    for name, text in sections().items():
        if name.startswith(("Maild", "Incident: ", "Drill: ")):
            found = re.findall(r"^- \*\*([^*]+):\*\* .+$", text, re.MULTILINE)
            assert tuple(found) == PARTS, name


def _commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[str]:
    if isinstance(group, click.Group):
        for name, command in group.commands.items():
            yield " ".join([*path, name])
            yield from _commands(command, (*path, name))


@pytest.mark.proves("run-runbook")
def test_the_runbook_names_what_exists(built_app: Flask) -> None:
    text = RUNBOOK.read_text("utf-8")
    commands = set(_commands(cli.cli))
    for line in re.findall(r"(?:^|`)maild ([a-z][a-z -]*[a-z])", text, re.MULTILINE):
        words = line.split()
        assert {words[0], " ".join(words[:2])} & commands, f"maild {line}"
    paths = {re.sub(r"<[^>]+>", "*", rule.rule) for rule in built_app.url_map.iter_rules()}
    for path in re.findall(r"[` ](/(?:ui|v1)[a-z0-9/-]*)", text):
        assert path in paths, path
    methods = {
        (method, rule.rule) for rule in built_app.url_map.iter_rules() for method in rule.methods
    }
    for method, path in re.findall(r"`(GET|POST|DELETE) (/v1[a-z/-]*)", text):
        assert (method, path) in methods, f"{method} {path}"
    for name in re.findall(r"`([A-Z][A-Z_]{4,})`", text):
        assert name in config.setting_names(), name


def test_the_runbook_asks_for_metrics_that_exist() -> None:
    quoted = re.findall(r"`([^`]*maild_[^`]*)`", RUNBOOK.read_text("utf-8"))
    assert len(quoted) > 40
    histograms = [name for name, (kind, _) in families().items() if kind == "histogram"]
    as_counts = re.compile(rf"\b({'|'.join(histograms)})(?![a-z_])")
    asked = [as_counts.sub(r"\1_count", query) for query in quoted]
    assert [wrong for query in asked for wrong in complaints(query)] == []


def test_the_runbook_quotes_log_lines_that_exist() -> None:
    """Names with a dot between backquotes are log lines, but for files and incident fields."""
    source = "".join(path.read_text("utf-8") for path in (ROOT / "maild").rglob("*.py"))
    for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", RUNBOOK.read_text("utf-8")):
        if name == "breaker.reason":
            continue
        part, _, event = name.partition(".")
        is_there = f'"{name}"' in source or (f".{event}" in source and f'"{part}"' in source)
        assert is_there or f'.{event}"' in source, name


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        if config.child_environment().get("CI"):
            pytest.fail("promtool is not installed; .ci/run installs it")
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    return found


@pytest.mark.proves("run-alerts")
def test_promtool_takes_the_rules(promtool: str) -> None:
    for arguments in (("check", "rules", "alerts.yaml"), ("test", "rules", "alerts.test.yaml")):
        done = subprocess.run(
            [promtool, *arguments], cwd=RULES.parent, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.proves("run-alerts")
@pytest.mark.parametrize(
    "path", sorted(RULES.parent.glob("prometheus*.yaml")), ids=lambda p: p.stem
)
def test_promtool_takes_the_jobs(promtool: str, path: Path, tmp_path: Path) -> None:
    """With the files where they say. Alerts ask for the job's name, and maild for its token."""
    (tmp_path / "alerts.yaml").write_text(RULES.read_text("utf-8"))
    (tmp_path / "metrics_token").write_text("a-token")
    text = path.read_text("utf-8").replace("/etc/prometheus/maild", str(tmp_path))
    written = yaml.safe_load(text)
    [job] = written["scrape_configs"]
    assert job["job_name"] == "maild"
    assert job["authorization"]["credentials_file"] == f"{tmp_path}/metrics_token"
    # Debian builds its promtool without what speaks to a cluster.
    in_cluster = job.pop("kubernetes_sd_configs", None)
    assert in_cluster in (None, [{"role": "pod", "namespaces": {"names": ["maild"]}}])
    (tmp_path / path.name).write_text(yaml.safe_dump(written))
    done = subprocess.run(
        [promtool, "check", "config", tmp_path / path.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_finds_what_answers_there() -> None:
    """Services of compose, and ports of pods, by the names that they have."""
    folder = RULES.parent
    [job] = yaml.safe_load((folder / "prometheus-compose.yaml").read_text())["scrape_configs"]
    asked = {(name, one["port"]) for one in job["dns_sd_configs"] for name in one["names"]}
    assert asked == {("web-a", 8080), ("web-b", 8080), ("worker", 9090), ("scheduler", 9090)}
    services = yaml.safe_load((folder.parent / "compose.yaml").read_text())["services"]
    for name, port in asked:
        assert "outside" in services[name]["networks"]
        addr = services[name]["environment"].get("METRICS_ADDR", "0.0.0.0:8080")
        assert addr == f"0.0.0.0:{port}"
    [job] = yaml.safe_load((folder / "prometheus-kubernetes.yaml").read_text())["scrape_configs"]
    kept = job["relabel_configs"][0]["regex"]
    for component, port in (("web", "http"), ("worker", "metrics"), ("scheduler", "metrics")):
        text = (folder.parent / f"kubernetes/{component}.yaml").read_text()
        assert f"app.kubernetes.io/component: {component}" in text
        assert f"name: {port}, containerPort: " in text
        assert re.fullmatch(kept, f"{component};{port}")
    assert not re.fullmatch(kept, "migrate;")


def test_a_queue_that_is_counted_no_further_is_told() -> None:
    [rule] = [rule for rule in rules() if rule["alert"] == "MaildQueueGrowing"]
    assert f">= {metric_readings.DUE_MAX}" in rule["expr"]


def test_promtool_takes_a_scrape(promtool: str, client: Any) -> None:
    scrape = client.get("/metrics").data
    done = subprocess.run(
        [promtool, "check", "metrics"], input=scrape, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
