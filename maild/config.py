"""Every setting, read in one place: the only reader of `os.environ`.

`load()` returns the frozen `Settings` of a process, or raises `ConfigError` with *all* problems at
once. A secret may come from a file: `NAME_FILE=/run/secrets/name` replaces `NAME`. Development has
working defaults; `APP_ENV=production` refuses each of them, and refuses missing values.

`load_local()` returns what `maild run` needs to start the embedded stack. A running stack writes
the addresses of its parts to `MAILD_HOME/stack.env`, and in development `load()` falls back to that
file, so that `maild doctor` in a second terminal finds the same database.
"""

import base64
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TypeVar

from maild import setting_kinds as kinds
from maild.errors import ConfigError, FieldError
from maild.setting_kinds import Addr

DEVELOPMENT_ADMIN_KEY = "change-me-admin"
DEVELOPMENT_OPERATOR_KEY = "change-me-operator"
DEVELOPMENT_ENCRYPTION_KEY = base64.b64encode(b"maild-development-key-not-secret").decode()
DEVELOPMENT_WEBHOOK_SECRET = "change-me-webhook"

MIN_SECRET_CHARS = 24
STACK_FILE = "stack.env"
LIMITS = ("RATE_LIMIT_WORKSPACE_PER_HOUR", "RATE_LIMIT_DOMAIN_PER_HOUR")


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DefaultSmtp:
    """The SMTP account of the environment, for workspaces that have activated none of their own."""

    host: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    security: str
    from_email: str
    max_connections: int
    max_per_second: float | None
    return_path: str | None


@dataclass(frozen=True, slots=True)
class StreamRules:
    """How messages of one stream are treated. `unknown_outcome`: `hold`, `retry`, `assume_sent`."""

    lifetime_seconds: int
    unknown_outcome: str


@dataclass(frozen=True, slots=True)
class AutoFailover:
    """When a provider's circuit breaker opens: this many faults, and this share of all tries."""

    enabled: bool
    min_faults: int
    fault_percent: int
    window_seconds: int


@dataclass(frozen=True, slots=True)
class Webhooks:
    """How reports from providers are checked before they are believed."""

    enabled: bool
    signing_secret: str = field(repr=False)
    signature_header: str
    timestamp_header: str
    max_skew_seconds: int
    apply_max_attempts: int


@dataclass(frozen=True, slots=True)
class Sandbox:
    """An inbox that people may take for a provider to try maild with: where it takes mail, and
    where it shows it, if everybody here may see everybody's.
    """

    smtp_addr: Addr
    web_url: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a web, worker, scheduler or CLI process.

    `signup_mode`: who may sign up; `open` everybody, `invite` who was invited, `closed` nobody.
    """

    env: str
    addr: Addr
    public_url: str
    log_level: str
    log_format: str
    max_attempts: int
    retry_delays_seconds: tuple[int, ...]
    transactional: StreamRules
    marketing: StreamRules
    api_key_header: str
    signup_mode: str
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...]
    admin_api_key: str = field(repr=False)
    operator_api_key: str = field(repr=False)
    encryption_key: bytes = field(repr=False)
    encryption_keys_old: tuple[bytes, ...] = field(repr=False)
    rate_limit_workspace_per_hour: int
    rate_limit_domain_per_hour: int
    blocked_recipient_domains: tuple[str, ...]
    webhooks: Webhooks
    auto_failover: AutoFailover
    postgres_dsn: str = field(repr=False)
    postgres_pool_size: int
    redis_url: str = field(repr=False)
    smtp: DefaultSmtp
    sandbox: Sandbox | None
    smtp_hostname: str
    allowed_private_networks: tuple[IPv4Network | IPv6Network, ...]
    dns_resolvers: tuple[Addr, ...]
    dns_timeout_seconds: int
    worker_connections: int
    sweep_seconds: int
    lease_seconds: int
    incident_quiet_seconds: int
    deadman_ping_url: str | None = field(repr=False)

    @property
    def is_production(self) -> bool:
        return self.env == "production"

    def stream(self, name: str) -> StreamRules:
        """The rules of the stream of this name."""
        return self.transactional if name == "transactional" else self.marketing

    def lifetime_seconds(self, stream: str) -> int:
        """How long a message of this stream may take, unless its sender says otherwise."""
        return self.stream(stream).lifetime_seconds


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """What `maild run` needs. None for a part means: start the embedded one."""

    home: Path
    app_addr: Addr
    inbox_smtp_addr: Addr
    inbox_web_addr: Addr
    postgres_dsn: str | None = field(repr=False)
    redis_url: str | None = field(repr=False)
    smtp_host: str | None
    unset_limits: tuple[str, ...]
    """The hourly limits that the environment says nothing of."""
    web_processes: int
    worker_processes: int
    admin_api_key: str = field(repr=False)
    operator_api_key: str = field(repr=False)
    api_key_header: str


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check every setting. Raises ConfigError naming each one that is wrong."""
    reader = _Reader(os.environ if environ is None else environ)
    settings = _settings(reader)
    reader.raise_problems()
    return settings


_current: Settings | None = None


def install(settings: Settings) -> None:
    """Make `settings` what `current()` returns in this process. Entry points call it once."""
    global _current  # noqa: PLW0603 - one process has one configuration
    _current = settings


def current() -> Settings:
    """The settings of this process, after `install()`."""
    assert _current is not None, "config.install() comes first"
    return _current


def load_local(environ: Mapping[str, str] | None = None) -> LocalSettings:
    """Read what `maild run` needs. Raises ConfigError, also for what its children will read."""
    source = os.environ if environ is None else environ
    reader = _Reader(source, stack_file=False)
    settings = _settings(reader)
    local = LocalSettings(
        home=_home(source),
        app_addr=settings.addr,
        inbox_smtp_addr=reader.get("INBOX_SMTP_ADDR", "127.0.0.1:1025", kinds.addr),
        inbox_web_addr=reader.get("INBOX_WEB_ADDR", "127.0.0.1:8025", kinds.addr),
        postgres_dsn=settings.postgres_dsn if reader.has("POSTGRES_DSN") else None,
        redis_url=settings.redis_url if reader.has("REDIS_URL") else None,
        smtp_host=settings.smtp.host if reader.has("SMTP_HOST") else None,
        unset_limits=tuple(name for name in LIMITS if not reader.has(name)),
        web_processes=reader.get("WEB_PROCESSES", "2", kinds.integer(1, 64)),
        worker_processes=reader.get("WORKER_PROCESSES", "1", kinds.integer(1, 64)),
        admin_api_key=settings.admin_api_key,
        operator_api_key=settings.operator_api_key,
        api_key_header=settings.api_key_header,
    )
    reader.raise_problems()
    return local


def child_environment(**overrides: str) -> dict[str, str]:
    """A copy of this process's environment with `overrides`, for the processes that it starts."""
    return {**os.environ, **overrides}


def setting_names() -> tuple[str, ...]:
    """The names of all settings of `load()`, in the order of `.env.production.example`."""
    reader = _Reader({})
    _settings(reader)
    return tuple(reader.names)


def _settings(r: "_Reader") -> Settings:
    env = r.env
    addr = r.get("APP_ADDR", "127.0.0.1:8080", kinds.addr)
    public_url = _public_url(r, addr)
    admin = r.secret("ADMIN_API_KEY", DEVELOPMENT_ADMIN_KEY, kinds.api_key)
    operator = r.secret("OPERATOR_API_KEY", DEVELOPMENT_OPERATOR_KEY, kinds.api_key)
    if admin == operator:
        r.problem("OPERATOR_API_KEY", "must differ from ADMIN_API_KEY")
    return Settings(
        env=env,
        addr=addr,
        public_url=public_url,
        log_level=r.get("LOG_LEVEL", "INFO", kinds.choice("DEBUG", "INFO", "WARNING", "ERROR")),
        log_format=r.get(
            "LOG_FORMAT", "json" if r.is_production else "console", kinds.choice("json", "console")
        ),
        max_attempts=r.get("APP_MAX_ATTEMPTS", "9", kinds.integer(1, 100)),
        retry_delays_seconds=r.get("RETRY_DELAYS", "1m,5m,15m,1h,2h,4h,8h,16h", kinds.durations),
        transactional=_stream(r, "TRANSACTIONAL", lifetime="2d"),
        marketing=_stream(r, "MARKETING", lifetime="4d"),
        api_key_header=r.get("API_KEY_HEADER", "X-API-Key", kinds.header_name),
        signup_mode=r.get(
            "SIGNUP_MODE",
            "invite" if r.is_production else "open",
            kinds.choice("open", "invite", "closed"),
        ),
        trusted_proxies=r.get("TRUSTED_PROXIES", "none", kinds.networks),
        admin_api_key=admin,
        operator_api_key=operator,
        encryption_key=r.get(
            "ENCRYPTION_KEY_BASE64",
            DEVELOPMENT_ENCRYPTION_KEY,
            kinds.encryption_key,
            development_only=True,
            secret=True,
        ),
        encryption_keys_old=r.get(
            "ENCRYPTION_KEYS_OLD", "none", kinds.encryption_keys, secret=True
        ),
        rate_limit_workspace_per_hour=r.get(
            "RATE_LIMIT_WORKSPACE_PER_HOUR", "400", kinds.integer(1, 100_000_000)
        ),
        rate_limit_domain_per_hour=r.get(
            "RATE_LIMIT_DOMAIN_PER_HOUR", "200", kinds.integer(1, 100_000_000)
        ),
        blocked_recipient_domains=r.get(
            "BLOCKED_RECIPIENT_DOMAINS", "mailinator.com,tempmail.com", kinds.domains
        ),
        webhooks=_webhooks(r),
        auto_failover=AutoFailover(
            enabled=r.get("AUTO_FAILOVER_ENABLED", "true", kinds.boolean),
            min_faults=r.get("AUTO_FAILOVER_MIN_FAULTS", "5", kinds.integer(1, 10_000)),
            fault_percent=r.get("AUTO_FAILOVER_FAULT_PERCENT", "50", kinds.integer(1, 100)),
            window_seconds=r.get("AUTO_FAILOVER_WINDOW", "60s", kinds.duration),
        ),
        postgres_dsn=r.get(
            "POSTGRES_DSN",
            "postgresql://maild@127.0.0.1:5432/maild",
            kinds.url("postgresql", "postgres"),
            development_only=True,
            secret=True,
        ),
        postgres_pool_size=r.get("POSTGRES_POOL_SIZE", "20", kinds.integer(2, 500)),
        redis_url=r.get(
            "REDIS_URL",
            "redis://127.0.0.1:6379/0",
            kinds.url("redis", "rediss", "unix"),
            development_only=True,
            secret=True,
        ),
        smtp=_smtp(r),
        sandbox=_sandbox(r),
        smtp_hostname=r.get("SMTP_HOSTNAME", "localhost", kinds.ehlo_name),
        allowed_private_networks=r.get(
            "ALLOWED_PRIVATE_NETWORKS",
            "none" if r.is_production else "127.0.0.0/8,::1/128",
            kinds.networks,
        ),
        dns_resolvers=r.get("DNS_RESOLVERS", "system", kinds.dns_servers),
        dns_timeout_seconds=r.get("DNS_TIMEOUT", "3s", kinds.duration),
        worker_connections=r.get("WORKER_CONNECTIONS", "200", kinds.integer(1, 10_000)),
        sweep_seconds=r.get("SWEEP_INTERVAL", "2s", kinds.duration),
        lease_seconds=r.get("LEASE_DURATION", "30s", kinds.duration),
        incident_quiet_seconds=r.get("INCIDENT_QUIET", "15m", kinds.duration),
        deadman_ping_url=r.get("DEADMAN_PING_URL", "none", kinds.ping_url, secret=True),
    )


def _public_url(r: "_Reader", addr: Addr) -> str:
    name, default = "PUBLIC_URL", f"http://{addr}"
    url = r.get(
        name,
        default,
        lambda text: text if text == default else kinds.public_url(text),
        development_only=True,
    )
    # RFC 8058 3.1: the link that unsubscribes with one click is an HTTPS one.
    if r.is_production and url != default and not url.startswith("https://"):
        r.problem(name, "must begin with https:// in production")
    return url


def _stream(r: "_Reader", name: str, *, lifetime: str) -> StreamRules:
    return StreamRules(
        lifetime_seconds=r.get(f"LIFETIME_{name}", lifetime, kinds.duration),
        unknown_outcome=r.get(
            f"UNKNOWN_OUTCOME_{name}", "hold", kinds.choice("hold", "retry", "assume_sent")
        ),
    )


def _webhooks(r: "_Reader") -> Webhooks:
    enabled = r.get("WEBHOOKS_ENABLED", "false", kinds.boolean)
    name = "WEBHOOK_SIGNING_SECRET"
    if enabled:
        signing_secret = r.secret(name, DEVELOPMENT_WEBHOOK_SECRET)
    else:
        signing_secret = r.get(name, "", str, secret=True)
    return Webhooks(
        enabled=enabled,
        signing_secret=signing_secret,
        signature_header=r.get(
            "WEBHOOK_SIGNATURE_HEADER", "X-Webhook-Signature", kinds.header_name
        ),
        timestamp_header=r.get(
            "WEBHOOK_TIMESTAMP_HEADER", "X-Webhook-Timestamp", kinds.header_name
        ),
        max_skew_seconds=r.get("WEBHOOK_MAX_SKEW", "5m", kinds.duration),
        apply_max_attempts=r.get("WEBHOOK_APPLY_MAX_ATTEMPTS", "5", kinds.integer(1, 100)),
    )


def _smtp(r: "_Reader") -> DefaultSmtp:
    username = r.get("SMTP_USERNAME", "", str) or None
    password = r.get("SMTP_PASSWORD", "", str, secret=True) or None
    if bool(username) != bool(password):
        r.problem("SMTP_PASSWORD", "SMTP_USERNAME and SMTP_PASSWORD must be set together")
    return DefaultSmtp(
        host=r.get("SMTP_HOST", "127.0.0.1", kinds.host, development_only=True),
        port=r.get("SMTP_PORT", "1025", kinds.integer(1, 65_535), development_only=True),
        username=username,
        password=password,
        security=r.get("SMTP_SECURITY", "auto", kinds.choice("auto", "starttls", "tls", "none")),
        from_email=r.get("SMTP_FROM", "maild@localhost.test", kinds.email, development_only=True),
        max_connections=r.get("SMTP_MAX_CONNECTIONS", "20", kinds.integer(1, 1_000)),
        max_per_second=r.get("SMTP_MAX_PER_SECOND", "0", kinds.rate),
        return_path=r.get("SMTP_RETURN_PATH", "", kinds.return_path),
    )


def _sandbox(r: "_Reader") -> Sandbox | None:
    smtp_addr = r.get("SANDBOX_SMTP_ADDR", "none", kinds.optional_addr)
    web_url = r.get("SANDBOX_WEB_URL", "none", kinds.optional_url)
    return None if smtp_addr is None else Sandbox(smtp_addr, web_url)


class _Reader:
    """Reads settings by name, remembers the names, and collects problems instead of raising."""

    def __init__(self, environ: Mapping[str, str], *, stack_file: bool = True) -> None:
        self._environ = environ
        self._problems: list[FieldError] = []
        self.names: list[str] = []
        self._stack: dict[str, str] = {}
        self.is_production = False
        self.env = self.get("APP_ENV", "development", kinds.choice("development", "production"))
        self.is_production = self.env == "production"
        if stack_file and not self.is_production:
            self._stack = _read_stack(_home(environ))

    def has(self, name: str) -> bool:
        """Whether the environment says anything about `name`."""
        return bool(self._environ.get(name) or self._environ.get(f"{name}_FILE"))

    def problem(self, name: str, message: str) -> None:
        self._problems.append(FieldError(name, message))

    def raise_problems(self) -> None:
        if self._problems:
            count = len(self._problems)
            what = "1 setting is" if count == 1 else f"{count} settings are"
            raise ConfigError(f"{what} missing or wrong:", errors=self._problems)

    def get(
        self,
        name: str,
        default: str,
        parse: Callable[[str], T],
        *,
        development_only: bool = False,
        secret: bool = False,
    ) -> T:
        """The parsed value of `name`, or of `default` after noting what is wrong with it.

        `development_only`: production must set it, and to something else than the default.
        `secret`: may come from NAME_FILE, and its value is never repeated in a problem.
        """
        self.names.append(name)
        raw = self._raw(name, from_file=secret)
        if self.is_production and development_only:
            if not raw:
                self.problem(name, "is required in production")
            elif raw == default:
                self.problem(name, "still has its development default")
        try:
            return parse(raw or default)
        except ValueError as error:
            self.problem(name, str(error) if secret else f"{error} (got {raw!r})")
            return parse(default)

    def secret(self, name: str, default: str, parse: Callable[[str], str] = str) -> str:
        """A secret text that production must set to something long and its own."""
        value = self.get(name, default, parse, development_only=True, secret=True)
        is_own = value != default
        if self.is_production and is_own and len(value) < MIN_SECRET_CHARS:
            self.problem(name, f"is too short: at least {MIN_SECRET_CHARS} characters")
        return value

    def _raw(self, name: str, *, from_file: bool) -> str:
        path = self._environ.get(f"{name}_FILE", "") if from_file else ""
        if not path:
            return self._environ.get(name, "").strip() or self._stack.get(name, "")
        if self._environ.get(name):
            self.problem(name, f"is set twice: by {name} and by {name}_FILE")
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
            self.problem(f"{name}_FILE", f"cannot be read: {reason} ({path})")
            return ""


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("MAILD_HOME") or ".maild").expanduser().absolute()


def _read_stack(home: Path) -> dict[str, str]:
    try:
        lines = (home / STACK_FILE).read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)
