"""Examines a catalogue: its schema, its triggers, its roles, its words, its rows. Nothing in it is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from storage.catalog import roles
from storage.catalog.database_errors import one_line
from storage.catalog.documentation import expected_words, written_comments, written_words
from storage.catalog.engine import open_engine
from storage.catalog.row_checks import ROW_CHECKS
from storage.catalog.schema_facts import expected_facts, found_facts
from storage.catalog.schema_version import HEAD, Upgrade, current_revision, refuse_newer, upgrade_schema
from storage.catalog.transactions import Transactions
from storage.urls import masked_url

Verdict = tuple[Literal["ok", "note", "bad"], str]


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    what: str
    verdict: Literal["ok", "note", "bad"]
    detail: str


@dataclass(frozen=True)
class CatalogueState:
    """What a catalogue is.

    Attributes:
        url: with its password hidden.
        database: name and version of the database.
        revision: the schema's; None for an empty database.
        newest: the newest revision that this version knows.
    """

    url: str
    database: str
    revision: str | None
    newest: str = HEAD


def upgrade_catalogue(url: str | Path) -> Upgrade:
    """Makes the catalogue, or brings its schema up to date.

    Raises:
        CatalogueUnreadable, CatalogueTooNew, NetworkShareRefused.
    """
    engine = open_engine(url, create=True)
    try:
        with Transactions(engine, masked_url(url)).errors():
            return upgrade_schema(engine)
    finally:
        engine.dispose()


def catalogue_state(url: str | Path) -> CatalogueState:
    """What the catalogue is, of whatever revision.

    Raises:
        CatalogueMissing, CatalogueUnreadable, NetworkShareRefused.
    """
    engine = open_engine(url, create=False)
    try:
        with Transactions(engine, masked_url(url)).errors(), engine.connect() as connection:
            return CatalogueState(masked_url(url), _database(connection), current_revision(connection))
    finally:
        engine.dispose()


def check_catalogue(url: str | Path) -> list[Finding]:
    """Every finding, good and bad; one that cannot be made is a bad one, and the others follow all the same.

    Raises:
        CatalogueMissing, CatalogueUnreadable, CatalogueTooNew, NetworkShareRefused.
    """
    state = catalogue_state(url)
    findings = [Finding("catalogue", "ok", f"{state.url}, {state.database}")]
    if state.revision is None:
        return [*findings, Finding("revision", "note", "empty; the first run, or `oldphoto db upgrade`, makes it")]
    refuse_newer(state.revision)
    engine = open_engine(url, create=False)
    try:
        findings += _findings(engine, state.revision)
    finally:
        engine.dispose()
    return findings


def _findings(engine: Engine, revision: str) -> Iterator[Finding]:
    if revision == HEAD:
        yield Finding("revision", "ok", f"{HEAD}, the newest")
    else:
        yield Finding("revision", "bad", f"{revision}; this version needs {HEAD}: run `oldphoto db upgrade`")
    checks: dict[str, Callable[[Connection], Verdict]] = {}
    if engine.dialect.name == "sqlite":
        checks |= {"file": _file, "references": _references}
    checks |= {
        "append-only": lambda connection: _schema(connection, revision, triggers=True),
        "schema": lambda connection: _schema(connection, revision, triggers=False),
    }
    if revision == HEAD:
        if engine.dialect.name == "postgresql":
            checks |= {"roles": _roles, "rights": _rights}
        checks |= {"words": _words, "events": _events, "rows": _rows}
    for what, check in checks.items():
        with engine.connect() as connection:  # ends with a rollback
            try:
                verdict, detail = check(connection)
            except DBAPIError as error:
                verdict, detail = "bad", f"could not be looked at: {one_line(error)}"
            yield Finding(what, verdict, detail)


def _database(connection: Connection) -> str:
    if connection.dialect.name == "sqlite":
        return f"SQLite {connection.scalar(sa.text('SELECT sqlite_version()'))}"
    return f"PostgreSQL {connection.scalar(sa.text('SHOW server_version'))}"


def _file(connection: Connection) -> Verdict:
    """SQLite: every page of the file, and that writers do not lock readers out."""
    found = [line for (line,) in connection.exec_driver_sql("PRAGMA integrity_check(5)")]
    if found != ["ok"]:
        return "bad", f"damaged: {'; '.join(found)}; restore it from a backup"
    mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
    if mode != "wal":
        return "bad", f"its journal mode is {mode}, not wal; the next `oldphoto` command sets it again"
    return "ok", "whole, in WAL mode"


def _references(connection: Connection) -> Verdict:
    """SQLite does not look at foreign keys where a program did not ask it to."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    if broken:
        tables = ", ".join(sorted({row[0] for row in broken}))
        return "bad", f"{len(broken)} rows name rows that are not there, in {tables}"
    return "ok", "every row that is named is there"


def _schema(connection: Connection, revision: str, *, triggers: bool) -> Verdict:
    """All but the triggers, or the triggers alone: everything compared with what the migrations make."""
    try:
        expected = expected_facts(connection, revision)
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "42501":
            raise
        return "note", "only a user who may make schemas in this database can look at it"
    found = found_facts(connection)

    def asked(name: str) -> bool:
        return name.startswith("trigger ") == triggers

    wrong = [f"{name} is missing" for name in expected if asked(name) and name not in found]
    wrong += [f"{name} is not as it was made" for name in expected if asked(name) and name in found
              and found[name] != expected[name]]  # fmt: skip
    if triggers:
        wrong += [f"{name} is none of ours" for name in found if asked(name) and name not in expected]
    if wrong:
        return "bad", f"{'; '.join(sorted(wrong)[:5])}{f' and {len(wrong) - 5} more' if len(wrong) > 5 else ''}"
    if triggers:
        return "ok", f"{', '.join(roles.APPEND_ONLY)}: the triggers are all there"
    return "ok", f"as the migrations make it, {sum(asked(name) for name in expected)} parts"


def _roles(connection: Connection) -> Verdict:
    """PostgreSQL: that the roles are there, and who is in them."""
    missing = roles.missing_memberships(connection)
    if roles.READER not in roles.known_roles(connection) or roles.WRITER not in roles.known_roles(connection):
        return "bad", f"missing; let a superuser run: {'; '.join(missing)}; then `oldphoto db upgrade` again"
    if missing:
        return "note", f"let a superuser run: {'; '.join(missing)}"
    return "ok", f"{roles.READER}, {roles.WRITER}"


def _rights(connection: Connection) -> Verdict:
    """PostgreSQL: that nobody may do more, or less, than the roles are for."""
    found, wanted = roles.found_grants(connection), roles.wanted_grants()
    wrong = [f"{role} may {what} {name}" for role, name, what in sorted(found - wanted)]
    wrong += [f"{role} may not {what} {name}" for role, name, what in sorted(wanted - found)]
    if roles.is_superuser(connection) and roles.everybody_may_set_config(connection):
        wrong.append("everybody may run set_config, by which a reader could become a superuser again")
    if wrong:
        more = f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
        return "bad", f"{'; '.join(wrong[:5])}{more}; run `oldphoto db upgrade` as the owner"
    return "ok", "as they should be"


def _words(connection: Connection) -> Verdict:
    expected = expected_words()
    if written_words(connection) != expected:
        return "bad", "catalogue_doc does not hold this version's words; run `oldphoto db upgrade`"
    if connection.dialect.name == "postgresql" and written_comments(connection) != expected:
        return "bad", "the comments are not this version's words; run `oldphoto db upgrade`"
    return "ok", f"{len(expected)} lines on tables, views and columns"


def _events(connection: Connection) -> Verdict:
    """That none is missing. SQLite numbers events without a gap; PostgreSQL leaves one where a writer gave up."""
    count, last = connection.execute(sa.text("SELECT COUNT(*), MAX(id) FROM event")).one()
    last = last or 0
    if connection.dialect.name == "sqlite":
        given = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'event'").scalar() or 0
        if count != max(last, given):
            return "bad", f"{count} are there and {max(last, given)} were numbered: some were deleted behind our back"
        return "ok", f"{count}, numbered without a gap"
    if count != last:
        return "note", f"{count}, numbered up to {last}: gaps are left by writers that gave up, or by deletions"
    return "ok", f"{count}, numbered without a gap"


def _rows(connection: Connection) -> Verdict:
    found = [(check, connection.scalar(sa.text(check.count)) or 0) for check in ROW_CHECKS]
    broken = [(check, count) for check, count in found if count]
    if not broken:
        return "ok", f"keep to all {len(ROW_CHECKS)} rules that no constraint can say"
    verdict: Literal["note", "bad"] = "bad" if any(check.verdict == "bad" for check, _ in broken) else "note"
    return verdict, "; ".join(f"{count} {check.problem}" for check, count in broken)
