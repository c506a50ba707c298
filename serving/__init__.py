"""The server: reads requests, and sends recommendations to the topic that each request names.

Start with `serving.worker`, the loop as named steps. `serving.answering` ranks.
"""
