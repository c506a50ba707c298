"""Measuring ranking quality on likes held out, through the code that serves.

`evaluate` is the main path: read likes (`sources`), hold some out (`splits`), build and rank
(`contenders`, `ranking`), measure (`metrics`, `summaries`). `tuning` searches for better settings.
"""
