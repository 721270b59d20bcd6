"""The account that the embedded servers run as, and the folders which that account can reach.

PostgreSQL refuses to run as root, so root's servers run as `nobody`; anybody else's run as
themselves. In charge of that choice, and of finding a place for a server's files and programs. It
changes no permission of a folder that it did not make: where the account cannot pass, the files go
to `/var/lib/maild` instead. Not in charge of what lies in those places.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from maild.errors import ConfigError

STATE = Path("/var/lib/maild")
SOCKET_PATH_BYTES = 107  # sun_path of sockaddr_un, without its closing NUL
SERVER_ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """A system account; `is_dropped` when it is another one than the present process has."""

    uid: int
    gid: int
    is_dropped: bool

    def popen_options(self) -> dict[str, Any]:
        """The arguments of `subprocess.Popen` that start a process as this account."""
        if not self.is_dropped:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def of_servers() -> Account:
    """The account for embedded servers. Raises ConfigError where root finds no `nobody`."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), is_dropped=False)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise ConfigError(
            "the embedded servers do not run as root, and this system has no account `nobody`; "
            "run maild as another user"
        ) from None
    return Account(nobody.pw_uid, nobody.pw_gid, is_dropped=True)


def can_reach(account: Account, folder: Path) -> bool:
    """Whether a process of `account` can pass through `folder` and all its parents.

    Tried, not computed from mode bits: access lists and mount options count as well.
    """
    return not account.is_dropped or _succeeds(account, ["/bin/sh", "-c", 'cd "$1"', "sh", folder])


def own_folder(account: Account, home: Path, name: str) -> Path:
    """The folder of the server `name`: 0700, the account's own. Made at the first call.

    It is `home/name`. Where the account cannot reach that, it lies under /var/lib/maild, and
    `home/name` is a symbolic link to it, so that people find it. Raises ConfigError, OSError.
    """
    folder = home / name
    if not folder.exists() and not can_reach(account, home):
        elsewhere = _state(hashlib.sha256(os.fsencode(home)).hexdigest()[:12]) / name
        folder.unlink(missing_ok=True)  # a link to a place that is gone
        folder.symlink_to(elsewhere)
    folder = folder.readlink() if folder.is_symlink() else folder
    if not folder.exists():
        _make_owned(account, folder)
    elif folder.stat().st_uid != account.uid:
        owner = _user_name(folder.stat().st_uid)
        raise ConfigError(
            f"{folder} belongs to {owner}, and would now be used by {_user_name(account.uid)}; run "
            "maild as the user who made it, or choose another folder with MAILD_HOME"
        )
    if not can_reach(account, folder):
        raise ConfigError(
            f"{_user_name(account.uid)}, which the embedded servers run as, no longer reaches "
            f"{folder}; open its parents for passing (chmod a+x), or choose another folder with "
            "MAILD_HOME"
        )
    return folder


def socket_folder(account: Account, folder: Path, socket_name: str) -> Path:
    """Where `socket_name` fits the limit of a socket's path: `folder`, or a temporary folder.

    Raises ConfigError where no place is short enough, or the place belongs to somebody else.
    """
    if _fits(folder, socket_name):
        return folder
    name = f"maild-{os.geteuid()}-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]}"
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - checked below
        short = parent / name
        if _fits(short, socket_name) and can_reach(account, parent):
            break
    else:
        raise ConfigError(
            f"{folder} is too long for a socket ({SOCKET_PATH_BYTES} bytes at most), and so is the "
            "temporary folder; choose a shorter MAILD_HOME"
        )
    if not os.path.lexists(short):
        _make_owned(account, short)
    status = short.lstat()
    # A folder of that name in a place that everybody can write to may be a trap.
    if short.is_symlink() or status.st_uid != account.uid or status.st_mode & 0o077:
        raise ConfigError(f"{short} is not maild's own folder; remove it, and start again")
    return short


def find_package(package: str, *, replaced_by: str) -> Path:
    """The folder of an installed package. Raises ConfigError naming the setting to use instead."""
    spec = util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"the Python package {package} is not installed: run `make setup`, "
            f"or point {replaced_by} to a server of your own"
        )
    return Path(spec.origin).parent


def runnable(account: Account, program: Path, *, parts: Sequence[Path], package: Path) -> Path:
    """`program` where the account can run it: in its place, or in a copy under /var/lib/maild.

    `package` is the folder of its Python package; `parts` are the folders that the program needs,
    in that package or beside it. The copy keeps their relative places, and is named after the
    package's version.
    """
    if not account.is_dropped or _succeeds(account, [program, "--version"]):
        return program
    copy = _state("programs") / f"{package.name}-{metadata.version(package.name)}"
    if not copy.exists():
        _copy_parts(package.parent, parts, copy)
    return copy / program.relative_to(package.parent)


def _copy_parts(root: Path, parts: Sequence[Path], copy: Path) -> None:
    fresh = Path(tempfile.mkdtemp(prefix=f".{copy.name}.", dir=copy.parent))
    try:
        for part in parts:
            shutil.copytree(part, fresh / part.relative_to(root), symlinks=True)
        for path in [fresh, *fresh.rglob("*")]:
            if not path.is_symlink():
                is_open = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if is_open else 0o644)
        try:
            fresh.rename(copy)
        except OSError:
            if not copy.exists():  # otherwise another process was quicker: its copy is as good
                raise
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _state(name: str) -> Path:
    for folder in (STATE, STATE / name):
        if not folder.exists():
            folder.mkdir(parents=True)
            folder.chmod(0o711)
    return STATE / name


def _make_owned(account: Account, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    if account.is_dropped:
        os.chown(folder, account.uid, account.gid)


def _fits(folder: Path, socket_name: str) -> bool:
    return len(os.fsencode(folder / socket_name)) <= SOCKET_PATH_BYTES


def _succeeds(account: Account, command: Sequence[str | Path]) -> bool:
    try:
        done = subprocess.run(
            command,
            cwd="/",
            env=SERVER_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            **account.popen_options(),
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
