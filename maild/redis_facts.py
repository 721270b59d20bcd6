"""What Redis or Valkey says of itself, for who looks before a start. It asks with INFO, which
managed servers answer as well; only for snapshots it has to see a setting.
"""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from maild.domain.preflight import RedisFacts
from maild.errors import Unavailable

TIMEOUT_SECONDS = 3.0
_PROBE = "maild:preflight"


def find(redis_url: str) -> RedisFacts:
    """Ask the server, and write a key that goes away by itself. Raises Unavailable, with its words
    where it refuses.
    """
    try:
        with redis.Redis.from_url(
            redis_url,
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            decode_responses=True,
        ) as client:
            info = client.info()
            if info["role"] == "master":
                client.set(_PROBE, 1, ex=10)
            return _facts(client, info)
    except redis.ResponseError as error:
        raise Unavailable(f"Redis refuses: {error}") from error
    except (redis.RedisError, OSError) as error:
        raise Unavailable(f"Redis does not answer: {type(error).__name__}") from error


def _facts(client: "redis.Redis", info: dict[str, object]) -> RedisFacts:
    version = str(info["redis_version"])
    own = info.get("valkey_version")
    return RedisFacts(
        product=f"Valkey {own}" if own else f"Redis {version}",
        version=tuple(int(part) for part in version.split(".") if part.isdecimal()),
        role=str(info["role"]),
        policy=str(info.get("maxmemory_policy", "unknown")),
        max_bytes=int(str(info.get("maxmemory", 0))),
        has_log=bool(info.get("aof_enabled")),
        has_snapshots=_has_snapshots(client),
        snapshot_failed=info.get("rdb_last_bgsave_status") == "err",
    )


def _has_snapshots(client: "redis.Redis") -> bool | None:
    try:
        return bool(client.config_get("save").get("save"))
    except redis.ResponseError:  # managed servers let nobody see their settings
        return None
