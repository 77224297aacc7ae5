#!/bin/sh
# What a new PostgreSQL server gets, once: the roles and databases of the catalogue and of Prefect.
# The image of PostgreSQL runs it on an empty data folder, as the superuser. Passwords come by the environment.
set -eu

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres <<'SQL'
\getenv owner DATABASE_OWNER_PASSWORD
\getenv nightly DATABASE_NIGHTLY_PASSWORD
\getenv prefect DATABASE_PREFECT_PASSWORD

-- The two groups that `oldphoto db upgrade` gives their rights; the catalogue's owner may not make roles.
CREATE ROLE oldphoto_reader NOSUPERUSER NOCREATEDB NOCREATEROLE NOLOGIN NOREPLICATION NOBYPASSRLS;
CREATE ROLE oldphoto_writer NOSUPERUSER NOCREATEDB NOCREATEROLE NOLOGIN NOREPLICATION NOBYPASSRLS;
GRANT oldphoto_reader TO oldphoto_writer;

-- archive_owner upgrades the catalogue, nightly writes its rows, prefect has a database of its own.
CREATE ROLE archive_owner LOGIN PASSWORD :'owner';
GRANT oldphoto_reader TO archive_owner;
CREATE ROLE nightly LOGIN PASSWORD :'nightly';
GRANT oldphoto_writer TO nightly;
CREATE ROLE prefect LOGIN PASSWORD :'prefect';

CREATE DATABASE archive OWNER archive_owner;
CREATE DATABASE prefect OWNER prefect;
REVOKE CONNECT ON DATABASE archive, prefect FROM PUBLIC;
GRANT CONNECT ON DATABASE archive TO oldphoto_reader;
SQL
