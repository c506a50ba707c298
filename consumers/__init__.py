"""EVENT -> STORE: likes from Kafka become sets in Redis.

Start with `consumers.worker`: the loop, as named steps.
"""
