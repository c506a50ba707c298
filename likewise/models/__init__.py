"""Versions of the model: their files on disk, checked before use, and the one in use."""
