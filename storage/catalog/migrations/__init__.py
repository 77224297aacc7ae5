"""Alembic scripts of the catalogue, run from the package by ``storage.catalog.schema_version``."""
