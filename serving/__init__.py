"""MODEL -> ANSWER: requests from one topic, recommendations to the topic each request names.

Start with `serving.worker`: the loop, as named steps.
"""
