"""What was true at a moment of the past, by the log and the models that are still on disk.

`answers` is the main path: `moments` names the moment, `users` and `documents` replay the log up to it,
`versions` finds the model that was current.
"""
