"""Speed as a measured property: one command a question, each compared with a floor or a peer.

`python -m benchmarks` lists them, and docs/benchmarks.md says how to read what they print.
"""
