"""Reads settings one by one, by name, and keeps what is wrong with them until all are read."""

import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from maild import setting_kinds as kinds
from maild import setting_strength as strength
from maild.errors import ConfigError, FieldError

MIN_SECRET_CHARS = 24
STACK_FILE = "stack.env"

T = TypeVar("T")


class Reader:
    """Reads settings by name, remembers the names, and collects problems instead of raising."""

    def __init__(self, environ: Mapping[str, str], *, stack_file: bool = True) -> None:
        self._environ = environ
        self.problems: list[FieldError] = []
        self.names: list[str] = []
        self.strict_names: set[str] = set()
        """Those that production requires, or that must be strong there."""
        self.stand_ins: set[str] = set()
        """Those that have no usable value: the default stands in for it."""
        self.secret_files: dict[str, Path] = {}
        self._secrets: dict[str, str] = {}
        self._stack: dict[str, str] = {}
        self.is_production = False
        self.env = self.get("APP_ENV", "development", kinds.choice("development", "production"))
        self.is_production = self.env == "production"
        if stack_file and not self.is_production:
            self._stack = read_stack(home(environ))

    def has(self, name: str) -> bool:
        """Whether the environment says anything about `name`."""
        return bool(self._environ.get(name) or self._environ.get(f"{name}_FILE"))

    def problem(self, name: str, message: str) -> None:
        self.problems.append(FieldError(name, message))

    def is_well(self, name: str) -> bool:
        """Whether nothing is wrong with `name` so far."""
        return all(problem.field != name for problem in self.problems)

    def raise_problems(self) -> None:
        if self.problems:
            count = len({problem.field for problem in self.problems})
            what = "1 setting is" if count == 1 else f"{count} settings are"
            raise ConfigError(f"{what} missing or wrong:", errors=self.list_problems())

    def list_problems(self) -> list[FieldError]:
        """What is wrong, in the order of the settings."""
        places = {name: place for place, name in enumerate(self.names)}
        return sorted(self.problems, key=lambda one: places[one.field.removesuffix("_FILE")])

    def get(
        self,
        name: str,
        default: str,
        parse: Callable[[str], T],
        *,
        development_only: bool = False,
        secret: bool = False,
        mend: str = "",
    ) -> T:
        """The parsed value of `name`, or of `default` after noting what is wrong with it.

        `development_only`: production must set it, and to something else than the default; `mend`
        says to what. `secret`: may come from NAME_FILE, and its value is never repeated in a
        problem.
        """
        self.names.append(name)
        raw = self._raw(name, from_file=secret)
        if development_only:
            self._require(name, raw, default, mend)
        if secret and raw and raw != default:
            self._secrets[name] = raw
        try:
            return parse(raw or default)
        except ValueError as error:
            self.problem(name, str(error) if secret else f"{error} (got {raw!r})")
            self.stand_ins.add(name)
            return parse(default)

    def secret(
        self,
        name: str,
        default: str,
        parse: Callable[[str], str] = str,
        *,
        is_required: bool = True,
    ) -> str:
        """A secret text of our own, which production wants long and hard to guess. With
        `is_required` it must be set there, and to something else than the default.
        """
        mend = strength.HOW_TO_MAKE_ONE
        value = self.get(name, default, parse, development_only=is_required, secret=True, mend=mend)
        self.strict_names.add(name)
        if self.is_production and value != default and self.is_well(name):
            weakness = strength.weakness(value, min_chars=MIN_SECRET_CHARS)
            if weakness is not None:
                self.problem(name, f"{weakness}; {mend}")
        return value

    def check_twins(self) -> None:
        """Note secrets that are the same in production: who learns one has both."""
        seen: dict[str, str] = {}
        for name, raw in self._secrets.items():
            for part in _secret_parts(raw):
                twin = seen.setdefault(part, name)
                if twin != name and self.is_production and self.is_well(name):
                    self.problem(name, f"holds the same secret as {twin}: each needs its own")

    def _require(self, name: str, raw: str, default: str, mend: str) -> None:
        self.strict_names.add(name)
        if not self.is_production:
            return
        how = f"; {mend}" if mend else ""
        if not raw:
            self.problem(name, f"is required in production{how}")
            self.stand_ins.add(name)
        elif raw == default:
            self.problem(name, f"still has its development default{how}")

    def _raw(self, name: str, *, from_file: bool) -> str:
        path = self._environ.get(f"{name}_FILE", "") if from_file else ""
        if not path:
            return self._environ.get(name, "").strip() or self._stack.get(name, "")
        if self._environ.get(name):
            self.problem(name, f"is set twice: by {name} and by {name}_FILE")
        try:
            text = Path(path).read_text(encoding="utf-8").strip()
            if self.is_production and Path(path).stat().st_mode & stat.S_IWOTH:
                self.problem(f"{name}_FILE", f"can be changed by everybody: chmod o-w {path}")
            self.secret_files[name] = Path(path)
            return text
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            self.problem(f"{name}_FILE", f"cannot be read: {reason} ({path})")
            return ""


def _secret_parts(raw: str) -> Iterable[str]:
    """The password of a URL, or each entry of a list."""
    if "://" not in raw:
        return filter(None, map(str.strip, raw.split(",")))
    try:
        password = urlsplit(raw).password
    except ValueError:
        password = None
    return (password,) if password else (raw,)


def home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("MAILD_HOME") or ".maild").expanduser().absolute()


def read_stack(home: Path) -> dict[str, str]:
    try:
        lines = (home / STACK_FILE).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)
