"""Bringing a catalogue's schema up to date with Alembic, run from the package; never down behind the user's back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from storage.catalog.documentation import write_documentation
from storage.catalog.roles import grant_roles
from storage.errors import CatalogueMissing, CatalogueOutdated, CatalogueTooNew, CatalogueUnreadable
from storage.urls import masked_url

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0007"
"""The newest revision; a test holds it equal to the scripts. An up-to-date catalogue opens without loading Alembic."""

_LOCK = 0x6F6C6470
"""PostgreSQL advisory lock: two programs that open a new catalogue at once migrate it one after the other."""


def current_revision(connection: Connection) -> str | None:
    """The schema's revision, None for an empty database.

    Raises:
        CatalogueUnreadable: the database holds something else.
    """
    tables = set(sa.inspect(connection).get_table_names())
    if "alembic_version" in tables:
        revision: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
        return revision
    if tables:
        raise CatalogueUnreadable(
            f"the database holds {len(tables)} tables (such as {min(tables)!r}) and is no oldphoto catalogue"
        )
    return None


def prepare_schema(engine: Engine, *, create: bool = True) -> None:
    """Makes the schema ready for use where that can harm nobody; see ``Catalogue.open``.

    Raises:
        CatalogueMissing: the database is empty, and ``create`` is off.
        CatalogueOutdated: PostgreSQL, and the schema is older than this version.
        CatalogueTooNew: the schema was made by a newer version.
    """
    with engine.connect() as connection:
        revision = current_revision(connection)
    if revision == HEAD:
        return
    where = masked_url(engine.url.render_as_string(hide_password=True))
    if revision is None and not create:
        raise CatalogueMissing(f"no catalogue in {where} yet; run `oldphoto ingest` or `oldphoto db upgrade` first")
    if revision is not None and engine.dialect.name == "postgresql":
        refuse_newer(revision)
        raise CatalogueOutdated(
            f"the catalogue in {where} is of revision {revision} and this version needs {HEAD}; when nothing else is "
            "at work in it, run `oldphoto db upgrade`"
        )
    upgrade_schema(engine)


@dataclass(frozen=True)
class Upgrade:
    """What an upgrade did.

    Attributes:
        before: the schema's revision before, None where there was none.
        after: the revision now.
        refused: SQL that this user may not run and somebody else should; PostgreSQL's roles alone.
    """

    before: str | None
    after: str
    refused: tuple[str, ...] = ()


def upgrade_schema(engine: Engine) -> Upgrade:
    """Applies what migrations are missing, in one transaction.

    The documentation inside the database is written anew, and on PostgreSQL the roles and their grants.

    Raises:
        CatalogueTooNew: the schema was made by a newer version.
    """
    with engine.execution_options(oldphoto_write=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        before = current_revision(connection)  # again: another program may have come first
        refuse_newer(before)
        if before != HEAD:
            migrate(connection, HEAD)
        write_documentation(connection)
        return Upgrade(before, HEAD, tuple(grant_roles(connection)))


def migrate(connection: Connection, revision: str) -> None:
    """Runs the scripts up to the revision, in the connection's transaction and schema."""
    from alembic import command

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def alembic_config() -> Config:
    """Alembic's configuration for the packaged scripts."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "storage.catalog:migrations")
    config.set_main_option("path_separator", "os")
    return config


def refuse_newer(revision: str | None) -> None:
    """Raises CatalogueTooNew where the revision is none of this version's."""
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise CatalogueTooNew(
            f"the catalogue's schema is revision {revision!r} and this version of oldphoto knows up to {HEAD!r}; "
            "install the version that made it, or a newer one"
        )
