"""The local stack of `maild run` and of the tests: PostgreSQL, Valkey, inbox, supervisor."""
