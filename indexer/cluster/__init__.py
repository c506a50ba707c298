"""Builds on a Dask cluster: the rows of the interaction matrix stay on its workers.

`matrix.py` has the operations of a build (`indexer.rows.Rows`) as sums over shards, `crew.py` runs them on
workers that may be lost, `tasks.py` is what runs there. docs/cluster.md describes the whole.
"""
