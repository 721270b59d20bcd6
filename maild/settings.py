"""The shapes of the settings: what `config.load()` and `config.load_local()` return."""

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from maild.setting_kinds import Addr


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
class Retention:
    """For how many days what is kept where a workspace has not chosen otherwise; None: for ever."""

    bodies_days: int | None
    messages_days: int | None
    webhooks_days: int | None
    audit_days: int | None


@dataclass(frozen=True, slots=True)
class Metrics:
    """Where a process's numbers are had (/metrics), and who may have them.

    `directory` is shared by the processes of one machine; None: each has only its own. Workers and
    the scheduler answer at `addr`; None: they do not. Empty `token`: nobody may in production.
    """

    directory: Path | None
    addr: Addr | None
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a web, worker, scheduler or CLI process.

    `log_detail`: what has a log line; `problems`, or `all` that happens to requests and attempts.
    `signup_mode`: who may sign up; `open` everybody, `invite` who was invited, `closed` nobody.
    """

    env: str
    addr: Addr
    public_url: str
    log_level: str
    log_format: str
    log_detail: str
    slow_query_seconds: float | None
    otlp_endpoint: str | None
    max_attempts: int
    retry_delays_seconds: tuple[int, ...]
    transactional: StreamRules
    marketing: StreamRules
    api_key_header: str
    api_requests_per_minute: int
    """Of a workspace's key that has no limit of its own; 0: as many as it likes."""
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
    plaintext_hosts: tuple[str, ...]
    """Those that production may speak to over a network without TLS."""
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
    metrics: Metrics
    retention: Retention
    database_disk_bytes: int | None
    """How much room the database has; None: not told."""
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
