"""The manifests of Kubernetes: valid, shut in, and able to roll without a gap. That their commands
work is in `test_commands.py`.
"""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from maild import worker
from tests.deploy import recipes
from tests.deploy.recipes import DEPLOY

FOLDER = DEPLOY / "kubernetes"
VERSION = "1.33"
LASTING = ("web", "worker", "scheduler")
BACKUPS = "/var/lib/maild/backups"
NGINX_INGRESS = "nginx.ingress.kubernetes.io"


def find(kind: str, component: str) -> dict[str, Any]:
    [found] = [
        doc
        for doc in recipes.manifests()
        if doc["kind"] == kind and doc["metadata"]["name"] == f"maild-{component}"
    ]
    return found


def test_every_file_is_part_of_it() -> None:
    listed = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())["resources"]
    there = {path.name for path in FOLDER.glob("*.yaml")}
    assert there - set(listed) == {"kustomization.yaml", "secret.example.yaml"}


def test_the_cluster_would_take_it() -> None:
    example = yaml.safe_load((FOLDER / "secret.example.yaml").read_text())
    for doc in [*recipes.manifests(), example]:
        kubernetes_validate.validate(doc, VERSION, strict=True)


def test_kustomize_builds_it() -> None:
    """Debian has no kubectl: where it is missing, the other tests are all that is looked at."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run(
        ["kubectl", "kustomize", FOLDER], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    assert len(built) == len(recipes.manifests())
    namespaces = {doc["metadata"].get("namespace") for doc in built if doc["kind"] != "Namespace"}
    assert namespaces == {"maild"}


@pytest.mark.parametrize("component", [*LASTING, "migrate", "backup"])
def test_a_pod_is_shut_in(component: str) -> None:
    """What the level `restricted` asks for, and a root file system that is not written to."""
    spec = recipes.pods()[component]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container["resources"]) == {"requests", "limits"}
    writable = {one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
    assert writable - {BACKUPS} == {"/tmp", "/run/maild"}
    assert (BACKUPS in writable) == (component == "backup")


@pytest.mark.parametrize("component", LASTING)
def test_it_rolls_without_a_gap(component: str) -> None:
    deployment = find("Deployment", component)
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    budget = find("PodDisruptionBudget", component)["spec"]
    assert budget["selector"] == deployment["spec"]["selector"]
    assert budget["maxUnavailable"] == 1
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_large_files_pass_where_nginx_lets_them_pass() -> None:
    """And there is room for one of each thread while they come in."""
    nginx = (DEPLOY / "nginx/maild.conf").read_text()
    [(paths, limit)] = re.findall(r"~ \^/\(([^)]+import[^)]*)\)\$ \{[^}]*_body_size (\w+);", nginx)
    ingress, whole = find_ingress("maild-imports"), find_ingress("maild")
    assert ingress["metadata"]["annotations"][f"{NGINX_INGRESS}/proxy-body-size"] == limit
    [rule] = ingress["spec"]["rules"]
    assert {(one["path"], one["pathType"]) for one in rule["http"]["paths"]} == {
        (f"/{path}", "Exact") for path in paths.split("|")
    }
    assert (rule["host"], ingress["spec"]["tls"]) == (
        whole["spec"]["rules"][0]["host"],
        whole["spec"]["tls"],
    )
    env = recipes.image().env
    threads = int(env["GRANIAN_WORKERS"]) * int(env["GRANIAN_BLOCKING_THREADS"])
    [tmp] = [one["emptyDir"] for one in recipes.pods()["web"]["volumes"] if one["name"] == "tmp"]
    assert int(tmp["sizeLimit"].removesuffix("Gi")) * 1024 >= threads * int(limit.removesuffix("m"))


def find_ingress(name: str) -> dict[str, Any]:
    [found] = [
        doc
        for doc in recipes.manifests()
        if doc["kind"] == "Ingress" and doc["metadata"]["name"] == name
    ]
    return found


def test_no_annotation_has_pods_scraped_without_a_token() -> None:
    for path in FOLDER.glob("*.yaml"):
        assert "prometheus.io/" not in path.read_text()


def test_a_web_pod_is_asked_at_a_path_that_asks_nobody_else() -> None:
    [container] = recipes.pods()["web"]["containers"]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": "http"}
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][-1])
    flags = recipes.image().argv
    kill_timeout = int(flags[flags.index("--workers-kill-timeout") + 1])
    assert recipes.pods()["web"]["terminationGracePeriodSeconds"] > pause + kill_timeout


def test_a_worker_has_time_to_finish() -> None:
    assert recipes.pods()["worker"]["terminationGracePeriodSeconds"] > worker.GRACE_SECONDS


def test_backups_are_made_one_at_a_time_and_outlive_their_pods() -> None:
    spec = find("CronJob", "backup")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    pod = recipes.pods()["backup"]
    assert BACKUPS in pod["containers"][0]["command"]
    [claim] = [one["persistentVolumeClaim"] for one in pod["volumes"] if one["name"] == "backups"]
    assert find("PersistentVolumeClaim", "backups")["metadata"]["name"] == claim["claimName"]
    # Older than that, it is called for: the next one must be made before.
    assert spec["schedule"].split()[2:] == ["*", "*", "*"]


def test_settings_are_known_and_secrets_complete(tmp_path: Path) -> None:
    data = recipes.config_map()
    assert recipes.unknown_names(data) == set()
    named = {key: Path(value).name for key, value in data.items() if key.endswith("_FILE")}
    assert named == {f"{name}_FILE": name.lower() for name in recipes.secret_names()}
    example = yaml.safe_load((FOLDER / "secret.example.yaml").read_text())["stringData"]
    assert set(example) == set(named.values())
    assert set(example.values()) == {""}
    for spec in recipes.pods().values():
        [container] = spec["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": "maild-config"}}]
        assert spec["volumes"][0]["secret"]["secretName"] == "maild-secrets"


def test_the_autoscaler_has_the_count_to_itself() -> None:
    assert "replicas" not in find("Deployment", "web")["spec"]
    assert find("HorizontalPodAutoscaler", "web")["spec"]["minReplicas"] >= 2
