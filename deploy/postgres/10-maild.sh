#!/bin/sh
# Run once by the image of PostgreSQL, on an empty volume: the role and the database of maild. The
# role is no superuser. CREATEDB is what `maild restore` needs to restore beside the old database;
# pg_read_all_stats, to see what maild's sessions do when they log in as another user (the passwords
# of two users take turns); and with log_min_error_statement a statement that fails is not written
# into PostgreSQL's log: the text of mail is in it.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set password="$(cat /run/secrets/maild_password)" <<'SQL'
CREATE ROLE maild LOGIN CREATEDB PASSWORD :'password';
GRANT pg_read_all_stats TO maild;
ALTER ROLE maild SET log_min_error_statement = 'panic';
CREATE DATABASE maild OWNER maild;
SQL
