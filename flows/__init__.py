"""Prefect flows, the Dask runner and the command line. Importing this package loads none of them."""
