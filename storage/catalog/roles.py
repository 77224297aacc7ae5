"""Roles on PostgreSQL: who may read the catalogue, and who may write what. SQLite has none; a file's mode decides.

Both are groups without a login. A person or a service is made a member: ``GRANT oldphoto_reader TO ada``.
"""

from __future__ import annotations

import logging

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from storage.catalog.tables import metadata
from storage.catalog.views import VIEWS

log = logging.getLogger(__name__)

READER, WRITER = "oldphoto_reader", "oldphoto_writer"

APPEND_ONLY = ("agent", "event", "event_object")
"""Tables of what happened, into which writers may only insert."""

SNAPSHOTS = ("dataset_snapshot", "dataset_snapshot_photo", "dataset_snapshot_label")
"""Tables of what training runs saw; likewise."""

KEPT = ("photo_split",)
"""Tables whose rows writers may change but never delete."""

_LEASTWISE = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOLOGIN NOREPLICATION NOBYPASSRLS"
_SET_CONFIG = "pg_catalog.set_config(text, text, boolean)"


def wanted_grants() -> set[tuple[str, str, str]]:
    """(role, table or view, privilege): what the two roles have, and no more."""
    relations = (*metadata.tables, *VIEWS, "alembic_version")
    grants = {(role, name, "SELECT") for role in (READER, WRITER) for name in relations}
    for name in metadata.tables:
        if name in (*APPEND_ONLY, *SNAPSHOTS):
            grants.add((WRITER, name, "INSERT"))
        elif name in KEPT:
            grants |= {(WRITER, name, privilege) for privilege in ("INSERT", "UPDATE")}
        elif name != "catalogue_doc":
            grants |= {(WRITER, name, privilege) for privilege in ("INSERT", "UPDATE", "DELETE")}
    return grants


def found_grants(connection: Connection) -> set[tuple[str, str, str]]:
    """(role, table or view, privilege) of the two roles and of everybody, as PostgreSQL has them, columns included."""
    acl = """
        SELECT coalesce(r.rolname, 'PUBLIC'), c.relname, a.privilege_type
          FROM (SELECT oid, relname, relacl AS acl FROM pg_class
                 WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'v', 'm', 'p')
                 UNION ALL
                SELECT t.attrelid, k.relname, t.attacl FROM pg_attribute AS t JOIN pg_class AS k ON k.oid = t.attrelid
                 WHERE k.relnamespace = current_schema()::regnamespace AND t.attacl IS NOT NULL) AS c,
               aclexplode(c.acl) AS a
          LEFT JOIN pg_roles AS r ON r.oid = a.grantee
         WHERE a.grantee = 0 OR r.rolname IN (:reader, :writer)"""
    found = connection.execute(sa.text(acl), {"reader": READER, "writer": WRITER})
    return {(role, name, privilege) for role, name, privilege in found}


def grant_roles(connection: Connection) -> list[str]:
    """Makes the two roles, where this user may, and gives them what they need and no more.

    Without the right to make roles the schema still works, for its owner. Gives what could not be done, as SQL for
    somebody who may; the same is logged, and ``oldphoto db check`` says it again.
    """
    if connection.dialect.name != "postgresql":
        return []
    refused = [statement for statement in missing_memberships(connection) if not _try(connection, statement)]
    if known_roles(connection) == {READER, WRITER}:
        refused += [statement for statement in _grants(connection) if not _try(connection, statement)]
    if refused:
        log.warning("this user may not: %s; let a superuser do it, then run `oldphoto db upgrade` again",
                    "; ".join(refused))  # fmt: skip
    return refused


def missing_memberships(connection: Connection) -> list[str]:
    """SQL for what is missing of the roles themselves: that they are there, and who is in `oldphoto_reader`."""
    known = known_roles(connection)
    statements = [f"CREATE ROLE {role} {_LEASTWISE}" for role in (READER, WRITER) if role not in known]
    if statements or not _ask(connection, f"pg_has_role('{WRITER}', '{READER}', 'USAGE')"):
        statements.append(f"GRANT {READER} TO {WRITER}")
    if not may_take_reader(connection):
        owner = connection.scalar(sa.text("SELECT quote_ident(current_user)"))
        statements.append(f"GRANT {READER} TO {owner}")
    return statements


def _grants(connection: Connection) -> list[str]:
    """SQL for what the roles may do in this database."""
    schema = connection.scalar(sa.text("SELECT quote_ident(current_schema())"))
    everything = ", ".join(sorted((*metadata.tables, *VIEWS, "alembic_version")))
    statements = [
        f"GRANT USAGE ON SCHEMA {schema} TO {READER}, {WRITER}",
        f"REVOKE ALL ON {everything} FROM PUBLIC, {READER}, {WRITER}",
        f"GRANT SELECT ON {everything} TO {READER}, {WRITER}",
    ]
    for privilege in ("INSERT", "UPDATE", "DELETE"):
        tables = sorted(name for role, name, what in wanted_grants() if (role, what) == (WRITER, privilege))
        statements.append(f"GRANT {privilege} ON {', '.join(tables)} TO {WRITER}")
    statements.append(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {WRITER}")
    if not _ask(connection, f"has_database_privilege('{WRITER}', current_database(), 'TEMPORARY')"):
        database = connection.scalar(sa.text("SELECT quote_ident(current_database())"))
        statements.append(f"GRANT TEMPORARY ON DATABASE {database} TO {WRITER}")
    if is_superuser(connection):
        # Inside a SELECT it could turn a reader back into the superuser who connected. In this database alone.
        statements.append(f"REVOKE EXECUTE ON FUNCTION {_SET_CONFIG} FROM PUBLIC")
    return statements


def _try(connection: Connection, statement: str) -> bool:
    """Runs a statement that may be refused; the transaction goes on either way."""
    try:
        with connection.begin_nested():
            connection.execute(sa.text(statement))
    except DBAPIError as error:
        state = getattr(error.orig, "sqlstate", None)
        if state in ("42710", "23505"):  # another program made the role in this moment
            return True
        if state not in ("42501", "42704", "0LP01"):  # not allowed, no such role
            raise
        return False
    return True


def is_superuser(connection: Connection) -> bool:
    """Whether the user that connected is one."""
    return bool(connection.scalar(sa.text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")))


def everybody_may_set_config(connection: Connection) -> bool:
    """Whether any role may run ``set_config`` in this database."""
    found = connection.scalar(sa.text(
        f"SELECT EXISTS (SELECT 1 FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a "
        f"WHERE p.oid = '{_SET_CONFIG}'::regprocedure AND a.grantee = 0)"
    ))  # fmt: skip
    return bool(found)


def known_roles(connection: Connection) -> set[str]:
    """Those of the two roles that this server has."""
    names = sa.text("SELECT rolname FROM pg_roles WHERE rolname IN (:reader, :writer)")
    return set(connection.scalars(names, {"reader": READER, "writer": WRITER}))


def may_take_reader(connection: Connection) -> bool:
    """Whether the user that connected may take the role `oldphoto_reader`, as reading commands do."""
    if READER not in known_roles(connection):
        return False
    server = connection.scalar(sa.text("SELECT current_setting('server_version_num')::int")) or 0
    kind = "SET" if server >= 160000 else "MEMBER"  # since 16 a role's maker is a member who may not yet take it
    return _ask(connection, f"pg_has_role(current_user, '{READER}', '{kind}')")


def _ask(connection: Connection, question: str) -> bool:
    return bool(connection.scalar(sa.text(f"SELECT {question}")))
