"""Prequential quality: a sample of the likes is scored before it is applied (test, then train).

`sampler` takes probes in the consumer's loop; `evaluator` scores them in a thread with the current
model. Nothing here can fail or delay the applying of likes.

Gama, Sebastião, Rodrigues, "On evaluating stream learning algorithms" (2013); for recommenders
Vinagre, Jorge, Gama, "Evaluation of recommender systems in streaming environments" (2014).
"""
