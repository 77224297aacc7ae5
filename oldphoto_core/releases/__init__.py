"""Releases: networks trained together, as one bundle with a card. The default one is packaged here.

Finding a release reads JSON only; loading it needs torch.
"""

from oldphoto_core.releases.card import ReleaseCard, find_release, weights_hash

__all__ = ["ReleaseCard", "find_release", "weights_hash"]
