"""Users whose likes are not human, with evidence: too fast, without a pause, too broad, in lockstep.

`audit` is the main path. Pure: likes in, suspects out.
"""
