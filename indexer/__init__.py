"""STORE -> MODEL: reads all likes from Redis, builds a model and announces it.

Start with `indexer.worker`: its `Indexer.run` is the service, step by step, and `indexer.cycle` is
one build.
"""
