"""The catalogue: what is known of every object, photo, restoration, label and release, in SQL."""

from storage.catalog.catalogue import Catalogue

__all__ = ["Catalogue"]
