"""Estimates of what a load needs, from measured coefficients."""
