"""What a schema is made of, as the database itself tells it, and what it would be made of if the migrations made it.

The second is found by running the migrations beside the first: in memory for SQLite, and for PostgreSQL in a schema of
its own inside a transaction that is rolled back. So every table, column, constraint, index, view and trigger is
compared as the database keeps it, and no list of them has to be kept equal by hand.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from storage.catalog.schema_version import migrate

_SCRATCH = "oldphoto_check"

_HERE = "to_regnamespace(quote_ident(:schema))"

_POSTGRESQL_FACTS = f"""
SELECT 'column ' || c.relname || '.' || a.attname,
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
                 a.attgenerated::text, pg_get_expr(d.adbin, d.adrelid))
  FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
  LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE c.relnamespace = {_HERE} AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped
 UNION ALL
SELECT 'constraint ' || c.conname, pg_get_constraintdef(c.oid) || CASE WHEN c.convalidated THEN '' ELSE ' unchecked' END
  FROM pg_constraint AS c WHERE c.connamespace = {_HERE}
 UNION ALL
SELECT 'index ' || c.relname, pg_get_indexdef(c.oid) || CASE WHEN i.indisvalid THEN '' ELSE ' invalid' END
  FROM pg_class AS c JOIN pg_index AS i ON i.indexrelid = c.oid WHERE c.relnamespace = {_HERE}
 UNION ALL
SELECT 'view ' || c.relname, pg_get_viewdef(c.oid)
  FROM pg_class AS c WHERE c.relnamespace = {_HERE} AND c.relkind = 'v'
 UNION ALL
SELECT 'trigger ' || t.tgname || ' on ' || c.relname, pg_get_triggerdef(t.oid) || ' enabled ' || t.tgenabled::text
  FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid
 WHERE c.relnamespace = {_HERE} AND NOT t.tgisinternal
 UNION ALL
SELECT 'trigger function ' || p.proname, p.prosrc
  FROM pg_proc AS p WHERE p.pronamespace = {_HERE} AND p.proname LIKE 'oldphoto%'
 UNION ALL
SELECT 'trigger rule ' || r.rulename || ' on ' || r.tablename, r.definition
  FROM pg_rules AS r WHERE r.schemaname = (:schema)::text
"""
"""Two columns: a name, and the definition. Rules are named with triggers: they change what a statement does."""


def found_facts(connection: Connection) -> dict[str, str]:
    """Name to definition of everything in the catalogue's schema."""
    if connection.dialect.name == "sqlite":
        return _sqlite_facts(connection)
    return _postgresql_facts(connection, _current_schema(connection))


def expected_facts(connection: Connection, revision: str) -> dict[str, str]:
    """What the migrations make, up to the revision.

    Args:
        connection: to the catalogue, as a user who may make a schema. Its transaction must be rolled back.
    """
    if connection.dialect.name == "sqlite":
        engine = sa.create_engine("sqlite://")
        with engine.begin() as scratch:
            migrate(scratch, revision)
            facts = _sqlite_facts(scratch)
        engine.dispose()
        return facts
    own = _current_schema(connection)
    connection.execute(sa.text(f"CREATE SCHEMA {_SCRATCH}"))
    connection.execute(sa.text(f"SET LOCAL search_path TO {_SCRATCH}"))
    migrate(connection, revision)
    facts = _postgresql_facts(connection, _SCRATCH)
    connection.execute(sa.text(f"SET LOCAL search_path TO {connection.dialect.identifier_preparer.quote(own)}"))
    return facts


def _current_schema(connection: Connection) -> str:
    return str(connection.scalar(sa.text("SELECT current_schema()")))


def _sqlite_facts(connection: Connection) -> dict[str, str]:
    rows = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    return {f"{kind} {name}": " ".join((sql or "").split()) for kind, name, sql in rows}


def _postgresql_facts(connection: Connection, schema: str) -> dict[str, str]:
    """With the schema's own name left out of the definitions, so that two schemas can be compared."""
    rows = connection.execute(sa.text(_POSTGRESQL_FACTS), {"schema": schema})
    return {name: " ".join(definition.replace(f"{schema}.", "").split()) for name, definition in rows}
