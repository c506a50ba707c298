"""`models compare`: recent requests, answered once more by two model versions.

`command` is the main path; `requests` and `history` read the topics, `answers` ranks through the
code that serves, `tables` prints. What is measured stands in `likewise.evaluation.shadow`.
"""
