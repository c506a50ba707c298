"""What a running service tells: that it lives, whether it can work, and what it has done.

Workers write into plain objects (`likewise.service.monitoring.heartbeat.Heartbeat`, their own stats). The endpoint
(`likewise.service.monitoring.endpoint`) reads them when somebody asks.
"""
