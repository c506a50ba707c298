"""Recent requests answered again by two model versions; nobody is sent anything.

`replay` is the main path: `requests` and `history` read the topics, `answers` ranks through the code that
serves, `comparison` measures.
"""
