"""A place to run what deploy/ says: a copy of the checkout that the account cannot write to, laid
out as in the image, and processes started from it with nothing in their environment but what the
recipe gives, as a user without any rights.

Paths are those of the recipe below another root, and ports are free ones; all else is as it says.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from maild.local import account as accounts
from maild.local import home as homes
from maild.local.program import kill_group
from tests.deploy import recipes
from tests.deploy.recipes import BY_HAND, IMAGE_ROOT, ROOT, Recipe

PATIENCE_SECONDS = 90.0


class House:
    """Made by `built()`. `places` are the paths of recipes, and what stands for them here."""

    def __init__(self, root: Path, cleanup: contextlib.ExitStack) -> None:
        self.root = root
        self.account = accounts.of_servers()
        self._cleanup = cleanup
        self.checkout = root / "opt/maild"
        self.secrets = root / "run/secrets"
        self.runtime = root / "run/maild"
        self.places = {
            IMAGE_ROOT: str(self.checkout),
            "/run/secrets": str(self.secrets),
            "/run/maild": str(self.runtime),
        }
        _copy_checkout(self.checkout)
        recipes.new_secrets(self.secrets)
        self.runtime.mkdir()

    def keep(self, **secrets: str) -> None:
        """Write secrets, and give everything to the account that reads it."""
        for name, text in secrets.items():
            (self.secrets / name).chmod(0o600)
            (self.secrets / name).write_text(text)
        for path in (self.secrets, *self.secrets.iterdir(), self.runtime):
            path.chmod(0o500 if path == self.secrets else 0o700 if path.is_dir() else 0o400)
            os.chown(path, self.account.uid, self.account.gid)

    def start(self, recipe: Recipe, ports: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start the recipe's process, in a group of its own that ends with the house."""
        log = (self.root / f"{len(list(self.root.glob('*.log')))}.log").open("wb")
        process = subprocess.Popen(
            [*_unprivileged(self.account), *(self._here(word, ports) for word in recipe.argv)],
            cwd=self.checkout,
            env=self._environment(recipe, ports),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        log.close()
        self._cleanup.callback(process.wait)
        self._cleanup.callback(kill_group, process)
        return process

    def run(self, recipe: Recipe, ports: Mapping[str, str]) -> int:
        """Run the recipe to its end; returns the exit code."""
        return self.start(recipe, ports).wait(PATIENCE_SECONDS)

    def logs(self) -> str:
        return "\n".join(path.read_text() for path in sorted(self.root.glob("*.log")))

    def _environment(self, recipe: Recipe, ports: Mapping[str, str]) -> dict[str, str]:
        env = {name: self._here(value, ports) for name, value in recipe.env.items()}
        return {**env, **BY_HAND, "PATH": f"{self.checkout}/.venv/bin:{os.defpath}"}

    def _here(self, text: str, ports: Mapping[str, str]) -> str:
        for old, new in self.places.items():
            text = text.replace(old, new)
        for old, new in ports.items():
            text = new if text == old else text.replace(f":{old}", f":{new}")
        return text


@contextlib.contextmanager
def built() -> Iterator[House]:
    with homes.temporary() as root, contextlib.ExitStack() as cleanup:
        yield House(root, cleanup)


def wait_until(condition: Callable[[], bool], what: str, house: House) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain until {what}\n{house.logs()}"
        time.sleep(0.1)


def stop(process: subprocess.Popen[bytes], grace_seconds: float) -> int:
    """SIGTERM, and no longer than the grace that the recipe gives; returns the exit code."""
    process.send_signal(signal.SIGTERM)
    return process.wait(grace_seconds)


def _copy_checkout(checkout: Path) -> None:
    """What the image copies, with an environment beside it that has our libraries."""
    names = {
        word
        for kind, rest in recipes.instructions()
        if kind == "COPY" and "--from" not in rest
        for word in rest.split()[:-1]
    }
    for name in names:
        source, target = ROOT / name, checkout / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    venv = checkout / ".venv"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", venv], check=True, capture_output=True
    )
    site = Path(sysconfig.get_path("purelib", vars={"base": str(venv)}))
    site.joinpath("here.pth").write_text(f"{checkout}\n{sysconfig.get_path('purelib')}\n")
    for program in ("maild", "granian"):
        _, lines = Path(sys.executable).with_name(program).read_text().split("\n", 1)
        script = venv / "bin" / program
        script.write_text(f"#!{venv}/bin/python\n{lines}")
        script.chmod(0o755)
    for path in checkout.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


def _unprivileged(account: accounts.Account) -> list[str]:
    """What takes all rights away. A root's own Python may lie where nobody else may read: then
    reading is left.
    """
    if not account.is_dropped:
        return []
    words = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups"]
    words.append("--no-new-privs")
    if not accounts.can_reach(account, Path(sys.base_prefix)):
        words += ["--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search"]
    return [*words, "--"]
