"""Measures ranking quality on held-out likes, with the same code that serves requests.

`evaluate` is the main path: read likes (`sources`), hold some out (`splits`), build and rank
(`contenders`, `ranking`), measure (`metrics`, `summaries`). `tuning` searches for better settings.
"""
