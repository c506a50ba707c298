"""Experiments: who takes part, which like counts for which list, and what follows from the counts. Pure."""
