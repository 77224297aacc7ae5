"""Bringing a catalogue's schema up to date with Alembic, run from the package; never down behind the user's back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from storage.errors import CatalogueTooNew, CatalogueUnreadable

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0001"
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


def upgrade_schema(engine: Engine) -> None:
    """Applies what migrations are missing, in one transaction.

    Raises:
        CatalogueTooNew: the schema was made by a newer version.
    """
    with engine.connect() as connection:
        if current_revision(connection) == HEAD:
            return
    with engine.execution_options(oldphoto_write=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        revision = current_revision(connection)  # again: another program may have come first
        if revision == HEAD:
            return
        _refuse_newer(revision)

        from alembic import command

        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def alembic_config() -> Config:
    """Alembic's configuration for the packaged scripts."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "storage.catalog:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _refuse_newer(revision: str | None) -> None:
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if revision is not None and revision not in known:
        raise CatalogueTooNew(
            f"the catalogue's schema is revision {revision!r} and this version of oldphoto knows up to {HEAD!r}; "
            "install the version that made it, or a newer one"
        )
