"""The private Valkey server: socket and password only, nothing kept."""

import os
import signal
import stat

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from maild.local import valkey

NO_RETRY = Retry(NoBackoff(), 0)


def client(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, protocol=2)


def test_it_answers_and_keeps_nothing(home):
    with valkey.running(home) as url, client(url) as redis_client:
        redis_client.set("kept", "no")
        assert redis_client.get("kept") == b"no"
    with valkey.running(home) as again, client(again) as redis_client:
        assert again == url
        assert redis_client.get("kept") is None


def test_it_survives_kill_9(home):
    with valkey.running(home):
        os.kill(valkey.find_pid(home), signal.SIGKILL)
        with valkey.running(home) as url, client(url) as redis_client:
            assert redis_client.ping()


def test_it_asks_for_the_password(home):
    with valkey.running(home) as url:
        path = home / "valkey" / valkey.SOCKET
        with (
            redis.Redis(unix_socket_path=str(path), protocol=2, retry=NO_RETRY) as stranger,
            pytest.raises(redis.AuthenticationError),
        ):
            stranger.ping()
        with client(url) as redis_client:
            assert redis_client.config_get("port") == {"port": "0"}
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE((home / valkey.PASSWORD_FILE).stat().st_mode) == 0o600


def test_a_home_with_odd_characters_works(home):
    with valkey.running(home / "a b'c\"dé%&#=") as url, client(url) as redis_client:
        assert redis_client.ping()
