"""STORE -> MODEL: reads everybody's likes from Redis, builds a model and announces it.

Start with `indexer.worker`: its `Indexer.run` is the whole service, step by step.
"""
