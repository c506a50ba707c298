"""What `/v1/live` sends: the state of the deployment once a second, computed once for all clients.

`broadcast` is the main path: it looks at the deployment (`kafka_view`, `redis_view`), makes a tick of what it
sees (`sampler`, `problems`) and sends it to the clients.
"""
