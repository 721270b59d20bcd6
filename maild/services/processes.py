"""What every process of maild does first: settings, logs, the database pool, the doorbell."""

from maild import allowances, config, db, log, queue, tracing
from maild.services import migrations


def start(
    settings: config.Settings, *, name: str, pool_size: int | None = None, is_program: bool = False
) -> None:
    """Set the process up as `name` (`web`, `worker`, ...). Opens no connection yet.

    `is_program`: it prints what it was asked for, and its log must stay out of that.
    """
    config.install(settings)
    log.configure(settings.log_level, fmt=settings.log_format, is_program=is_program)
    tracing.start(settings.otlp_endpoint, process=name)
    db.init(
        settings.postgres_dsn,
        pool_size=pool_size or settings.postgres_pool_size,
        application=name,
        slow_seconds=settings.slow_query_seconds,
    )
    queue.init(settings.redis_url)
    allowances.init(settings.redis_url)


def require_schema() -> None:
    """Raises MigrationPending where the database is not ready for this code, Unavailable where
    it is away.
    """
    with db.connection():
        migrations.check()
