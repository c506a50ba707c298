"""Redis Cluster: users in buckets, each bucket applied by one script with its own positions.

Start reading at `positions.py`.
"""
