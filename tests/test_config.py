"""Settings: all problems at once, nothing half-right in production, and no secret in any text."""

import base64
import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maild import config
from maild.config import Addr, AutoFailover, StreamRules
from maild.errors import ConfigError
from tests.production import PRODUCTION, SECRETS

EXAMPLE = Path(__file__).resolve().parents[1] / ".env.production.example"

KEY_X, KEY_Y = (base64.b64encode(letter * 32).decode() for letter in (b"x", b"y"))
DEVELOPMENT_DEFAULTS = {
    "ADMIN_API_KEY": config.DEVELOPMENT_ADMIN_KEY,
    "OPERATOR_API_KEY": config.DEVELOPMENT_OPERATOR_KEY,
    "ENCRYPTION_KEY_BASE64": config.DEVELOPMENT_ENCRYPTION_KEY,
    "WEBHOOK_SIGNING_SECRET": config.DEVELOPMENT_WEBHOOK_SECRET,
    "PUBLIC_URL": "http://127.0.0.1:8080",
    "POSTGRES_DSN": "postgresql://maild@127.0.0.1:5432/maild",
    "REDIS_URL": "redis://127.0.0.1:6379/0",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_PORT": "1025",
    "SMTP_FROM": "maild@localhost.test",
    "SMTP_HOSTNAME": "localhost",
}


def load(environ=(), **more):
    return config.load({"MAILD_HOME": "/nonexistent", **dict(environ), **more})


def problems(environ=(), **more):
    """What is wrong: name -> messages. Fails where nothing is."""
    with pytest.raises(ConfigError) as caught:
        load(environ, **more)
    found = {}
    for error in caught.value.errors:
        found.setdefault(error.field, []).append(error.message)
        assert f"{error.field}: {error.message}" in str(caught.value)
    return found


# Development


def test_development_needs_nothing():
    settings = load()
    assert (settings.env, settings.is_production) == ("development", False)
    assert settings.addr == Addr("127.0.0.1", 8080)
    assert settings.admin_api_key == "change-me-admin"
    assert settings.operator_api_key == "change-me-operator"
    assert settings.api_key_header == "X-API-Key"
    assert settings.blocked_recipient_domains == ("mailinator.com", "tempmail.com")
    assert settings.rate_limit_workspace_per_hour == 400
    assert settings.rate_limit_domain_per_hour == 200
    assert settings.retry_delays_seconds == (60, 300, 900, 3600, 7200, 14400, 28800, 57600)
    assert settings.transactional == StreamRules(2 * 86_400, "hold")
    assert settings.marketing == StreamRules(4 * 86_400, "hold")
    assert settings.auto_failover == AutoFailover(True, 5, 50, 60)
    assert (settings.smtp.max_connections, settings.smtp.max_per_second) == (20, None)
    assert settings.smtp.return_path is None
    assert settings.worker_connections == 200
    assert settings.log_format == "console"
    assert len(settings.encryption_key) == 32


def test_an_empty_value_is_none():
    assert load(dict.fromkeys(config.setting_names(), "")) == load()
    assert load(dict.fromkeys(config.setting_names(), "  ")) == load()


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load().env = "production"


def test_development_finds_the_running_stack(tmp_path):
    (tmp_path / config.STACK_FILE).write_text("REDIS_URL=redis://127.0.0.1:7777/0\n\nnonsense\n")
    home = {"MAILD_HOME": str(tmp_path)}
    assert config.load(home).redis_url == "redis://127.0.0.1:7777/0"
    given = config.load({**home, "REDIS_URL": "redis://127.0.0.1:8888/0"})
    assert given.redis_url == "redis://127.0.0.1:8888/0"
    with pytest.raises(ConfigError) as caught:
        config.load({**PRODUCTION, **home, "REDIS_URL": ""})
    assert [error.field for error in caught.value.errors] == ["REDIS_URL"]


# All problems together


@pytest.mark.proves("bad-settings")
def test_all_problems_are_reported_together():
    wrong = {
        "APP_ADDR": "8080",
        "APP_MAX_ATTEMPTS": "0",
        "API_KEY_HEADER": "X API",
        "WEBHOOKS_ENABLED": "maybe",
        "SMTP_PORT": "smtp",
        "REDIS_URL": "http://x",
        "ENCRYPTION_KEY_BASE64": "short",
        "SMTP_USERNAME": "only-the-name",
    }
    found = problems(wrong)
    assert set(found) == set(wrong) - {"SMTP_USERNAME"} | {"SMTP_PASSWORD"}
    assert all(len(messages) == 1 for messages in found.values())


def test_the_text_counts_the_problems():
    with pytest.raises(ConfigError, match=r"^1 setting is missing or wrong:\n  APP_ADDR: "):
        load(APP_ADDR="x")
    with pytest.raises(ConfigError, match=r"^2 settings are missing or wrong:\n"):
        load(APP_ADDR="x", LOG_LEVEL="LOUD")


@pytest.mark.parametrize("env", ["prod", "Production", "staging"])
def test_an_unknown_environment_is_refused(env):
    assert set(problems(APP_ENV=env)) == {"APP_ENV"}


# Values


@pytest.mark.parametrize(
    ("text", "addr"),
    [
        ("0.0.0.0:80", Addr("0.0.0.0", 80)), ("[::1]:8080", Addr("::1", 8080)),
        ("h:65535", Addr("h", 65535)), (" 127.0.0.1:8081 ", Addr("127.0.0.1", 8081)),
    ],
)  # fmt: skip
def test_it_reads_an_address(text, addr):
    settings = load(APP_ADDR=text)
    assert settings.addr == addr
    assert str(settings.addr) == text.strip()


@pytest.mark.parametrize(
    "text", ["8080", ":8080", "host", "host:", "host:0", "host:65536", "host:-1", "h:p"]
)
def test_it_refuses_an_address(text):
    assert set(problems(APP_ADDR=text)) == {"APP_ADDR"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("5m", 300), ("2h", 7200), ("30d", 2_592_000)]
)
def test_it_reads_a_duration(text, seconds):
    assert load(LEASE_DURATION=text).lease_seconds == seconds


@pytest.mark.parametrize(
    "text", ["0", "0s", "-5s", "1.5h", "5 m", "m", "31d", "1w", "5M", "9" * 5000]
)
def test_it_refuses_a_duration(text):
    assert set(problems(LEASE_DURATION=text)) == {"LEASE_DURATION"}


def test_each_stream_has_rules_of_its_own():
    settings = load(
        LIFETIME_TRANSACTIONAL="10m",
        UNKNOWN_OUTCOME_TRANSACTIONAL="retry",
        LIFETIME_MARKETING="7d",
        UNKNOWN_OUTCOME_MARKETING="assume_sent",
    )
    assert settings.stream("transactional") == StreamRules(600, "retry")
    assert settings.stream("marketing") == StreamRules(604_800, "assume_sent")
    assert settings.lifetime_seconds("transactional") == 600
    assert settings.lifetime_seconds("marketing") == 604_800


@pytest.mark.parametrize("name", ["LIFETIME_TRANSACTIONAL", "LIFETIME_MARKETING"])
def test_it_refuses_a_lifetime(name):
    for text in ("0", "31d", "forever"):
        assert set(problems({name: text})) == {name}


def test_it_reads_a_ladder():
    assert load(RETRY_DELAYS="10s, 1m,1h").retry_delays_seconds == (10, 60, 3600)
    for text in (",", "10s,,1m", "10s;1m", "10s,0"):
        assert set(problems(RETRY_DELAYS=text)) == {"RETRY_DELAYS"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("True", True), ("1", True), ("yes", True),
        ("false", False), ("0", False), ("NO", False),
    ],
)  # fmt: skip
def test_it_reads_a_boolean(text, value):
    assert load(AUTO_FAILOVER_ENABLED=text).auto_failover.enabled is value


@pytest.mark.parametrize("text", ["on", "2", "t", "truee", "none"])
def test_it_refuses_a_boolean(text):
    assert set(problems(AUTO_FAILOVER_ENABLED=text)) == {"AUTO_FAILOVER_ENABLED"}


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("APP_MAX_ATTEMPTS", 1, 100), ("SMTP_PORT", 1, 65_535), ("SMTP_MAX_CONNECTIONS", 1, 1_000),
        ("WORKER_CONNECTIONS", 1, 10_000), ("POSTGRES_POOL_SIZE", 2, 500),
        ("AUTO_FAILOVER_MIN_FAULTS", 1, 10_000), ("AUTO_FAILOVER_FAULT_PERCENT", 1, 100),
        ("WEBHOOK_APPLY_MAX_ATTEMPTS", 1, 100), ("RATE_LIMIT_WORKSPACE_PER_HOUR", 1, 100_000_000),
        ("RATE_LIMIT_DOMAIN_PER_HOUR", 1, 100_000_000),
    ],
)  # fmt: skip
def test_a_number_has_its_range(name, low, high):
    for good in (low, high):
        load({name: str(good)})
    for bad in (low - 1, high + 1, -1, "1.5", "1e2", "0x10", "1_0", "ten", "9" * 5000):
        assert set(problems({name: str(bad)})) == {name}


@pytest.mark.parametrize(
    ("text", "per_second"),
    [("0", None), ("0.000", None), ("14", 14.0), ("0.5", 0.5), ("999999.999", 999_999.999)],
)
def test_it_reads_a_rate(text, per_second):
    assert load(SMTP_MAX_PER_SECOND=text).smtp.max_per_second == per_second


@pytest.mark.parametrize("text", ["-1", ".5", "1.", "1e2", "1/s", "0.0001", "1000000", "inf"])
def test_it_refuses_a_rate(text):
    assert set(problems(SMTP_MAX_PER_SECOND=text)) == {"SMTP_MAX_PER_SECOND"}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("LOG_LEVEL", ["DEBUG", "ERROR"], ["debug", "TRACE"]),
        ("LOG_FORMAT", ["json", "console"], ["text"]),
        ("SMTP_SECURITY", ["auto", "starttls", "tls", "none"], ["ssl", "TLS"]),
        ("UNKNOWN_OUTCOME_TRANSACTIONAL", ["hold", "retry", "assume_sent"], ["Hold", "fail"]),
        ("UNKNOWN_OUTCOME_MARKETING", ["hold", "retry", "assume_sent"], ["assume-sent", "sent"]),
        ("API_KEY_HEADER", ["X-Key", "Api_Key"], ["X Key", "X-Key:", "X\nKey", "Ключ"]),
        ("BLOCKED_RECIPIENT_DOMAINS", ["a.example", "*.a.example, B.example", ","],
         ["example", "a.example;b.example", "http://a.example", "*a.example", "a@b.example"]),
        ("SMTP_HOST", ["localhost", "192.0.2.1", "::1"], ["smtp.example.com/x", "a b", "smtp://x"]),
        ("SMTP_FROM", ["a@example.com"], ["a", "a@", "Ann <a@example.com>", "a@b@c"]),
        ("SMTP_RETURN_PATH", ["bounces@example.com", "b+x@localhost", "a" * 37 + "@example.com"],
         ["bounces", "b@", "<b@example.com>", "b@ü.example", "ü@example.com", "b@a..b",
          "b,c@example.com", "a" * 38 + "@example.com", "a" * 37 + "@" + "b." * 95 + "example",
          "b@x.example\r\nX"]),
        ("SANDBOX_SMTP_ADDR", ["none", "127.0.0.1:1025", "inbox:25"], ["inbox", "inbox:0", "a:b"]),
        ("SANDBOX_WEB_URL", ["none", "http://127.0.0.1:8025"], ["inbox", "ftp://inbox", "http://a/?b"]),
        ("PLAINTEXT_HOSTS", ["none", "postgres, Valkey", "10.1.2.3"], ["a b", "redis://x", "x/y"]),
        ("SMTP_HOSTNAME", ["mail.example.com", "[192.0.2.1]"], ["a b", "a\r\nb", "mail_1"]),
        ("PUBLIC_URL", ["https://m.example", "http://h:80/", "https://[::1]:8/a", "https://m.example/a/b-c"],
         ["m.example", "ftp://m.example", "https://", "https://u:p@m.example", "https://m.example/?a",
          "https://m.example?a", "https://m.example/#a", "https://m.example/a b", "https://m.example/<",
          "https://m.example//a", "https://m.example/../a", "https://m.example/./a", "https://ü.example",
          "https://m.example/%2e", "https://m.example\nX: y", "https://" + "m" * 140 + ".example"]),
        ("POSTGRES_DSN", ["postgres://h/d", "postgresql:///d"], ["mysql://h/d", "h", "host=x", "http://["]),
        ("REDIS_URL", ["redis://h", "rediss://h", "unix:///run/x.sock"], ["http://h", "h:6379"]),
        ("ADMIN_API_KEY", ["a", "!~"], ["two words", "schlüssel", "a\tb", "a\nb"]),
        ("ENCRYPTION_KEY_BASE64", [base64.b64encode(b"x" * 32).decode()],
         [base64.b64encode(b"x" * 31).decode(), base64.b64encode(b"x" * 33).decode(), "!", "ü"]),
        ("ENCRYPTION_KEYS_OLD", ["none", ",", f"{KEY_X}, {KEY_Y}"], [f"{KEY_X};{KEY_Y}", "None"]),
        ("ALLOWED_PRIVATE_NETWORKS", ["none", "10.0.0.0/8", "10.1.2.3, fd00:1::/48,"],
         ["10.0.0.1/8", "10.0.0.0/33", "private", "localhost", "10.0.0.0/8;::1"]),
    ],
)  # fmt: skip
def test_a_text_has_its_form(name, good, bad):
    for text in good:
        load({name: text})
    for text in bad:
        assert set(problems({name: text})) == {name}, text


@given(st.sampled_from(config.setting_names()), st.text(max_size=40))
def test_any_text_is_read_or_refused_by_name(name, text):
    names = set()
    try:
        load({name: text})
    except ConfigError as error:
        names = {problem.field for problem in error.errors}
    # These settings are about each other.
    related = {"SMTP_USERNAME": "SMTP_PASSWORD", "ADMIN_API_KEY": "OPERATOR_API_KEY"}
    assert names <= {name, related.get(name, name)}


def test_the_public_url_is_that_of_the_web_server_unless_told():
    assert load().public_url == "http://127.0.0.1:8080"
    assert load(APP_ADDR="[::1]:9000").public_url == "http://[::1]:9000"
    assert load(PUBLIC_URL="http://maild.test/mail/").public_url == "http://maild.test/mail"


def test_the_public_url_of_production_is_https():
    assert load(PRODUCTION).public_url == "https://mail.maild.test"
    [message] = problems(PRODUCTION, PUBLIC_URL="http://mail.maild.test")["PUBLIC_URL"]
    assert "https://" in message


def test_old_encryption_keys_are_kept_in_order():
    assert load().encryption_keys_old == ()
    settings = load(ENCRYPTION_KEYS_OLD=f"{KEY_X},{KEY_Y}")
    assert settings.encryption_keys_old == (b"x" * 32, b"y" * 32)


def test_only_development_lets_accounts_lead_to_this_machine():
    allowed = [str(network) for network in load().allowed_private_networks]
    assert allowed == ["127.0.0.0/8", "::1/128"]
    assert load(PRODUCTION).allowed_private_networks == ()
    settings = load(PRODUCTION, ALLOWED_PRIVATE_NETWORKS="10.1.0.0/16")
    assert [str(network) for network in settings.allowed_private_networks] == ["10.1.0.0/16"]


def test_blocked_domains_are_lower_case():
    settings = load(BLOCKED_RECIPIENT_DOMAINS="Mail.Example, *.TEMP.example")
    assert settings.blocked_recipient_domains == ("mail.example", "*.temp.example")


# Secrets from files


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_may_come_from_a_file(tmp_path, name):
    path = tmp_path / "secret"
    path.write_text(f"{SECRETS[name]}\n")
    environ = {**PRODUCTION, f"{name}_FILE": str(path)}
    del environ[name]
    assert load(environ) == load(PRODUCTION)


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_set_twice_is_a_problem(tmp_path, name):
    path = tmp_path / "secret"
    path.write_text(SECRETS[name])
    found = problems(PRODUCTION, **{f"{name}_FILE": str(path)})
    assert set(found) == {name}
    assert "twice" in found[name][0]


def test_a_file_that_cannot_be_read_is_a_problem(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for path, reason in (
        (tmp_path / "missing", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "binary", "not UTF-8"),
    ):
        found = problems(ADMIN_API_KEY_FILE=str(path))
        assert set(found) == {"ADMIN_API_KEY_FILE"}
        assert reason in found["ADMIN_API_KEY_FILE"][0]
        assert str(path) in found["ADMIN_API_KEY_FILE"][0]


def test_production_refuses_an_empty_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text("\n")
    found = problems({**PRODUCTION, "ADMIN_API_KEY": ""}, ADMIN_API_KEY_FILE=str(path))
    assert set(found) == {"ADMIN_API_KEY"}


def test_what_is_no_secret_comes_from_no_file(tmp_path):
    path = tmp_path / "value"
    path.write_text("DEBUG")
    assert load(LOG_LEVEL_FILE=str(path)).log_level == "INFO"


# Production


def test_production_loads_when_everything_is_set():
    settings = load(PRODUCTION)
    assert settings.is_production
    assert settings.log_format == "json"
    assert settings.smtp.password == SECRETS["SMTP_PASSWORD"]


@pytest.mark.parametrize("name", DEVELOPMENT_DEFAULTS)
def test_production_refuses_a_missing_value(name):
    for environ in ({**PRODUCTION, name: ""}, {k: v for k, v in PRODUCTION.items() if k != name}):
        found = problems(environ)
        assert set(found) == {name}
        assert found[name][0].startswith("is required in production")


@pytest.mark.parametrize(("name", "default"), DEVELOPMENT_DEFAULTS.items())
def test_production_refuses_a_development_default(name, default):
    found = problems(PRODUCTION, **{name: default})
    assert set(found) == {name}
    assert found[name][0].startswith("still has its development default")


@pytest.mark.parametrize("name", DEVELOPMENT_DEFAULTS)
def test_the_table_of_development_defaults_is_right(name):
    environ = {key: value for key, value in DEVELOPMENT_DEFAULTS.items() if key != name}
    environ["WEBHOOKS_ENABLED"] = "true"
    assert load(environ) == load(environ, **{name: DEVELOPMENT_DEFAULTS[name]})


def test_production_reports_everything_that_is_missing():
    found = problems(APP_ENV="production", WEBHOOKS_ENABLED="true")
    assert set(found) == set(DEVELOPMENT_DEFAULTS)


def test_production_needs_no_webhook_secret_without_webhooks():
    environ = {**PRODUCTION, "WEBHOOKS_ENABLED": "false", "WEBHOOK_SIGNING_SECRET": ""}
    assert load(environ).webhooks.signing_secret == ""


def test_production_needs_no_login_at_the_smtp_server():
    smtp = load({**PRODUCTION, "SMTP_USERNAME": "", "SMTP_PASSWORD": ""}).smtp
    assert (smtp.username, smtp.password) == (None, None)


@pytest.mark.parametrize("name", ["ADMIN_API_KEY", "OPERATOR_API_KEY", "WEBHOOK_SIGNING_SECRET"])
def test_production_refuses_a_short_secret(name):
    found = problems(PRODUCTION, **{name: SECRETS[name][:23]})
    assert set(found) == {name}
    assert found[name][0].startswith("is too short: at least 24 characters")
    load(PRODUCTION, **{name: SECRETS[name][:24]})


def test_the_two_keys_must_differ():
    same = SECRETS["ADMIN_API_KEY"]
    found = problems(PRODUCTION, OPERATOR_API_KEY=same)
    assert set(found) == {"OPERATOR_API_KEY"}


# Nothing leaks


def parts(text):
    """What must not be seen of a secret: the whole, and the password of a URL."""
    return {text, *re.findall(r":([^:@/]+)@", text)}


@pytest.mark.proves("bad-settings")
@pytest.mark.parametrize("name", SECRETS)
def test_no_secret_is_in_the_text_of_a_problem(name):
    # Each secret stands where it is wrong: too short, no URL, no base64, or without its partner.
    value = "hidden-value-x" if name != "SMTP_PASSWORD" else SECRETS[name]
    environ = {**PRODUCTION, name: value, "APP_ADDR": "wrong"}
    if name == "SMTP_PASSWORD":
        environ["SMTP_USERNAME"] = ""
    with pytest.raises(ConfigError) as caught:
        load(environ)
    assert {error.field for error in caught.value.errors} == {name, "APP_ADDR"}
    shown = f"{caught.value} {caught.value!r} {caught.value.detail} {caught.value.errors}"
    for secret in [value, *(part for text in SECRETS.values() for part in parts(text))]:
        assert secret not in shown


def test_no_secret_is_in_the_repr_of_settings():
    shown = repr(load(PRODUCTION)) + str(load(PRODUCTION))
    for text in SECRETS.values():
        for part in parts(text):
            assert part not in shown
    assert repr(base64.b64decode(SECRETS["ENCRYPTION_KEY_BASE64"])) not in shown


def test_no_secret_is_in_the_repr_of_local_settings():
    shown = repr(config.load_local(PRODUCTION))
    for text in SECRETS.values():
        for part in parts(text):
            assert part not in shown


# The local stack


def test_the_local_stack_has_its_defaults():
    local = config.load_local({})
    assert (str(local.inbox_smtp_addr), str(local.inbox_web_addr)) == (
        "127.0.0.1:1025",
        "127.0.0.1:8025",
    )
    assert (local.postgres_dsn, local.redis_url, local.smtp_host) == (None, None, None)


def test_the_local_stack_reports_its_problems_with_those_of_its_children():
    with pytest.raises(ConfigError) as caught:
        config.load_local({"INBOX_SMTP_ADDR": "x", "APP_ADDR": "y", "WORKER_PROCESSES": "0"})
    names = {error.field for error in caught.value.errors}
    assert names == {"INBOX_SMTP_ADDR", "APP_ADDR", "WORKER_PROCESSES"}


# .env.production.example


def example():
    """The example's settings in their order: (name, value, the comment above)."""
    comment, found = [], []
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            comment.append(line.removeprefix("#").strip())
        elif not line.strip():
            comment = []
        else:
            name, separator, value = line.partition("=")
            assert separator, line
            found.append((name, value, " ".join(comment)))
            comment = []
    return found


def test_the_example_names_every_setting_in_order():
    assert [name for name, _, _ in example()] == list(config.setting_names())


def test_the_example_explains_every_setting():
    assert [name for name, _, comment in example() if len(comment) < 10] == []


def test_the_example_holds_no_secret_and_no_development_default():
    for name, value, _ in example():
        assert value != DEVELOPMENT_DEFAULTS.get(name), name
        assert "change-me" not in value
        if name in SECRETS:
            assert value == "" or "PASSWORD" in value, name


def test_the_example_names_everything_that_is_left_to_fill_in():
    found = problems({name: value for name, value, _ in example()})
    assert set(found) == {
        "PUBLIC_URL", "ADMIN_API_KEY", "OPERATOR_API_KEY", "ENCRYPTION_KEY_BASE64",
        "POSTGRES_DSN", "REDIS_URL", "SMTP_HOST", "SMTP_FROM", "SMTP_HOSTNAME",
    }  # fmt: skip


def test_the_example_loads_in_production_when_it_is_filled_in():
    environ = {name: value for name, value, _ in example()}
    assert environ["APP_ENV"] == "production"
    told = {name: PRODUCTION[name] for name in problems(environ)}
    assert load(environ, **told).is_production
    assert load({**environ, **told, **SECRETS, "SMTP_USERNAME": "maild"}).smtp.username == "maild"


def test_the_example_shows_the_defaults():
    shown = {name: value for name, value, _ in example() if value}
    unchanged = {
        name: value
        for name, value in shown.items()
        if name not in {"APP_ENV", "LOG_FORMAT", "SIGNUP_MODE", "SMTP_SECURITY"}
        and name != "ALLOWED_PRIVATE_NETWORKS"  # production has a default of its own
        and name not in DEVELOPMENT_DEFAULTS
    }
    assert len(unchanged) > 15
    assert load(unchanged) == load()


def test_limits_are_set_where_the_environment_says_so():
    assert config.load_local(ISOLATED).unset_limits == config.LIMITS
    told = {**ISOLATED, "RATE_LIMIT_DOMAIN_PER_HOUR": "5"}
    assert config.load_local(told).unset_limits == ("RATE_LIMIT_WORKSPACE_PER_HOUR",)


ISOLATED = {"MAILD_HOME": "/nonexistent"}
