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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from maild import setting_kinds as kinds
from maild import setting_strength as strength
from maild.errors import ConfigError, FieldError
from maild.setting_kinds import Addr
from maild.setting_production import RULES
from maild.setting_reader import STACK_FILE, Reader, home, read_stack
from maild.settings import (
    AutoFailover,
    DefaultSmtp,
    LocalSettings,
    Metrics,
    Retention,
    Sandbox,
    Settings,
    StreamRules,
    Webhooks,
)

__all__ = [
    "STACK_FILE",
    "Addr",
    "AutoFailover",
    "DefaultSmtp",
    "LocalSettings",
    "Metrics",
    "Retention",
    "Sandbox",
    "Settings",
    "StreamRules",
    "Webhooks",
]

DEVELOPMENT_ADMIN_KEY = "change-me-admin"
DEVELOPMENT_OPERATOR_KEY = "change-me-operator"
DEVELOPMENT_ENCRYPTION_KEY = base64.b64encode(b"maild-development-key-not-secret").decode()
DEVELOPMENT_WEBHOOK_SECRET = "change-me-webhook"

LIMITS = ("RATE_LIMIT_WORKSPACE_PER_HOUR", "RATE_LIMIT_DOMAIN_PER_HOUR")


@dataclass(frozen=True, slots=True)
class Review:
    """Settings with what is wrong with them, for who looks at them before a start.

    `problems` keep a process from starting here; `production_problems` would in production.
    `stand_ins` name the settings that have no usable value: `settings` has the default of each.
    `secret_files` are those that secrets were read from.
    """

    settings: Settings
    problems: tuple[FieldError, ...]
    production_problems: tuple[FieldError, ...]
    stand_ins: frozenset[str]
    secret_files: Mapping[str, Path]


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read and check every setting. Raises ConfigError naming each one that is wrong."""
    reader = Reader(os.environ if environ is None else environ)
    settings = _checked(reader)
    reader.raise_problems()
    return settings


def review(environ: Mapping[str, str] | None = None) -> Review:
    """Read every setting, and check it as here and as in production; raises nothing."""
    source = os.environ if environ is None else environ
    reader = Reader(source)
    settings = _checked(reader)
    strict = reader
    if not settings.is_production:
        stack = read_stack(home(source))
        strict = Reader({**stack, **source, "APP_ENV": "production"}, stack_file=False)
        _checked(strict)
    return Review(
        settings=settings,
        problems=tuple(reader.list_problems()),
        production_problems=tuple(strict.list_problems()),
        stand_ins=frozenset(reader.stand_ins),
        secret_files=reader.secret_files,
    )


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
    reader = Reader(source, stack_file=False)
    settings = _checked(reader)
    local = LocalSettings(
        home=home(source),
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


def check_dsn(dsn: str) -> str:
    """A URL of PostgreSQL that somebody has typed. Raises ConfigError."""
    try:
        return kinds.url("postgresql", "postgres")(dsn)
    except ValueError as error:
        raise ConfigError(f"The database's URL {error}.") from None


def child_environment(**overrides: str) -> dict[str, str]:
    """A copy of this process's environment with `overrides`, for the processes that it starts."""
    return {**os.environ, **overrides}


def setting_names() -> tuple[str, ...]:
    """The names of all settings of `load()`, in the order of `.env.production.example`."""
    reader = Reader({})
    _settings(reader)
    return tuple(reader.names)


def strict_names(environ: Mapping[str, str]) -> frozenset[str]:
    """The settings that production requires, or that it refuses for more than their form."""
    reader = Reader(environ)
    _settings(reader)
    return frozenset(reader.strict_names | RULES.keys())


def _checked(r: Reader) -> Settings:
    """All settings, looked at one by one, and in production against each other, too."""
    settings = _settings(r)
    if r.is_production:
        for name, rule in RULES.items():
            if r.is_well(name):
                for problem in rule(settings):
                    r.problem(name, problem)
        r.check_twins()
    return settings


def _settings(r: Reader) -> Settings:
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
        log_detail=r.get("LOG_DETAIL", "problems", kinds.choice("problems", "all")),
        slow_query_seconds=r.get("SLOW_QUERY", "500ms", kinds.short_duration),
        otlp_endpoint=r.get("OTEL_EXPORTER_OTLP_ENDPOINT", "none", kinds.optional_url),
        max_attempts=r.get("APP_MAX_ATTEMPTS", "9", kinds.integer(1, 100)),
        retry_delays_seconds=r.get("RETRY_DELAYS", "1m,5m,15m,1h,2h,4h,8h,16h", kinds.durations),
        transactional=_stream(r, "TRANSACTIONAL", lifetime="2d"),
        marketing=_stream(r, "MARKETING", lifetime="4d"),
        api_key_header=r.get("API_KEY_HEADER", "X-API-Key", kinds.header_name),
        api_requests_per_minute=r.get(
            "API_REQUESTS_PER_MINUTE", "6000", kinds.integer(0, 10_000_000)
        ),
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
            mend=strength.HOW_TO_MAKE_ONE,
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
            mend="such as postgresql://maild:password@host:5432/maild?sslmode=verify-full"
            "&sslrootcert=/etc/ssl/certs/ca-certificates.crt",
        ),
        postgres_pool_size=r.get("POSTGRES_POOL_SIZE", "20", kinds.integer(2, 500)),
        redis_url=r.get(
            "REDIS_URL",
            "redis://127.0.0.1:6379/0",
            kinds.url("redis", "rediss", "unix"),
            development_only=True,
            secret=True,
            mend="such as rediss://:password@host:6379/0",
        ),
        plaintext_hosts=r.get("PLAINTEXT_HOSTS", "none", kinds.hosts),
        smtp=_smtp(r),
        sandbox=_sandbox(r),
        smtp_hostname=r.get(
            "SMTP_HOSTNAME",
            "localhost",
            kinds.ehlo_name,
            development_only=True,
            mend="the name of this machine in the DNS",
        ),
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
        metrics=_metrics(r),
        retention=_retention(r),
        database_disk_bytes=r.get("DATABASE_DISK_BYTES", "none", kinds.optional_size),
        deadman_ping_url=r.get("DEADMAN_PING_URL", "none", kinds.ping_url, secret=True),
    )


def _public_url(r: Reader, addr: Addr) -> str:
    default = f"http://{addr}"
    return r.get(
        "PUBLIC_URL",
        default,
        lambda text: text if text == default else kinds.public_url(text),
        development_only=True,
        mend="where people reach maild, an address that begins with https://",
    )


def _stream(r: Reader, name: str, *, lifetime: str) -> StreamRules:
    return StreamRules(
        lifetime_seconds=r.get(f"LIFETIME_{name}", lifetime, kinds.duration),
        unknown_outcome=r.get(
            f"UNKNOWN_OUTCOME_{name}", "hold", kinds.choice("hold", "retry", "assume_sent")
        ),
    )


def _webhooks(r: Reader) -> Webhooks:
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


def _metrics(r: Reader) -> Metrics:
    return Metrics(
        directory=r.get("METRICS_DIR", "none", kinds.folder),
        addr=r.get("METRICS_ADDR", "none", kinds.optional_addr),
        token=r.secret("METRICS_TOKEN", "", kinds.bearer_token, is_required=False),
    )


def _smtp(r: Reader) -> DefaultSmtp:
    username = r.get("SMTP_USERNAME", "", str) or None
    password = r.get("SMTP_PASSWORD", "", str, secret=True) or None
    if bool(username) != bool(password):
        r.problem("SMTP_PASSWORD", "SMTP_USERNAME and SMTP_PASSWORD must be set together")
    return DefaultSmtp(
        host=r.get(
            "SMTP_HOST",
            "127.0.0.1",
            kinds.host,
            development_only=True,
            mend="your provider's server, without a port",
        ),
        port=r.get(
            "SMTP_PORT",
            "1025",
            kinds.integer(1, 65_535),
            development_only=True,
            mend="587 with STARTTLS, or 465",
        ),
        username=username,
        password=password,
        security=r.get("SMTP_SECURITY", "auto", kinds.choice("auto", "starttls", "tls", "none")),
        from_email=r.get(
            "SMTP_FROM",
            "maild@localhost.test",
            kinds.email,
            development_only=True,
            mend="an address that your provider lets you send from",
        ),
        max_connections=r.get("SMTP_MAX_CONNECTIONS", "20", kinds.integer(1, 1_000)),
        max_per_second=r.get("SMTP_MAX_PER_SECOND", "0", kinds.rate),
        return_path=r.get("SMTP_RETURN_PATH", "", kinds.return_path),
    )


def _retention(r: Reader) -> Retention:
    found = Retention(
        bodies_days=r.get("RETENTION_BODIES", "30d", kinds.retention(1)),
        messages_days=r.get("RETENTION_MESSAGES", "90d", kinds.retention(7)),
        webhooks_days=r.get("RETENTION_WEBHOOKS", "30d", kinds.retention(1)),
        audit_days=r.get("RETENTION_AUDIT", "400d", kinds.retention(90)),
    )
    longest = found.messages_days
    for name, days in (
        ("RETENTION_BODIES", found.bodies_days),
        ("RETENTION_WEBHOOKS", found.webhooks_days),
    ):
        if longest is not None and (days is None or days > longest):
            r.problem(name, "must not be longer than RETENTION_MESSAGES")
    return found


def _sandbox(r: Reader) -> Sandbox | None:
    smtp_addr = r.get("SANDBOX_SMTP_ADDR", "none", kinds.optional_addr)
    web_url = r.get("SANDBOX_WEB_URL", "none", kinds.optional_url)
    return None if smtp_addr is None else Sandbox(smtp_addr, web_url)
