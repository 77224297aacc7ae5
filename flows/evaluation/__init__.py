"""`oldphoto evaluate`: a release measured by core, written down as Parquet, JSON and a page."""
