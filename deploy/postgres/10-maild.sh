#!/bin/sh
# Run once by the image of PostgreSQL, on an empty volume: the role and the database of maild. The
# role is no superuser; CREATEDB is what `maild restore` needs to restore beside the old database.
set -eu
psql --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres \
  --set password="$(cat /run/secrets/maild_password)" <<'SQL'
CREATE ROLE maild LOGIN CREATEDB PASSWORD :'password';
CREATE DATABASE maild OWNER maild;
SQL
