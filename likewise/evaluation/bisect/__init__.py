"""Finds the build, and then the stretch of events, after which quality fell.

`search` is the main path. `events` reads the log, `probes` are the likes that every model has to predict,
`quality` measures models on them, `state` keeps what was measured for a run that continues.
"""
