"""The store: the port that services see and the names of its keys. `redis/` is the real one."""
