"""The log: the port that services see, its topics, and reading ranges of it. `kafka/` is the real one."""
