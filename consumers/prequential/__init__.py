"""Quality, live: a sample of the likes is scored before it is applied (test, then train).

`sampler` asks, in the consumer's loop; `evaluator` answers, in a thread of its own, with the model
that serves. Nothing in here can fail or hold up the applying of likes.

Gama, Sebastião, Rodrigues, "On evaluating stream learning algorithms" (2013); for recommenders
Vinagre, Jorge, Gama, "Evaluation of recommender systems in streaming environments" (2014).
"""
