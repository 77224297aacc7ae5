"""Links photos that look alike. They are only linked: each is restored on its own."""

from __future__ import annotations

from storage.catalog.catalogue import Catalogue

CHUNK = 20_000
"""Photos compared, and recorded, at once; a run that dies goes on with the rest."""


def link_near_duplicates(catalogue: Catalogue) -> int:
    """Compares the photos that were not compared yet with all others; gives the number of new links.

    The photos to compare are read first, all hashes after that. So of two runs at once, the one that reads the hashes
    later sees the other's photos, and no pair is missed; a pair that both find is one row.
    """
    links = 0
    while unchecked := catalogue.unchecked_photos(limit=CHUNK):
        import numpy as np  # late: most runs find nothing new

        from storage.near_duplicates import near_pairs

        ids, hashes = catalogue.perceptual_hashes()
        one, other, distance = near_pairs(np.flatnonzero(np.isin(ids, unchecked)), hashes)
        found = zip(ids[one].tolist(), ids[other].tolist(), distance.tolist(), strict=True)
        links += catalogue.record_near_duplicates(unchecked, list(found))
    return links
