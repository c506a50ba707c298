"""Ranking: from the likes of this moment to the items to recommend, over one model's arrays.

Pure functions and small classes; the indexer uses them to choose and to measure, serving to answer.
"""
