"""Tests of flows: real Prefect, real Dask, real files."""
