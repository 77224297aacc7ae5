"""Object stores, catalogue, keys and provenance of an oldphoto installation.

Knows nothing of torch, Prefect or the networks. Nothing heavy is imported here: take what you need from the modules.
"""
