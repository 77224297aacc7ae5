"""Alembic's environment: migrates on the connection that the catalogue hands over, inside its transaction."""

from alembic import context

from storage.catalog.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
context.run_migrations()
