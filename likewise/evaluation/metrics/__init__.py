"""Metrics of recommendation lists: per user, means over users, confidence intervals."""
