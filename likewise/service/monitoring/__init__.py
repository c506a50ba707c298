"""What a running service reports over HTTP: health, readiness and metrics.

Workers write to plain objects (a `Heartbeat` and their stats). The endpoint reads those objects for
each request.
"""
