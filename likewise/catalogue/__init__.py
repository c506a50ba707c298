"""The catalogue in memory: a column for each field, filters over them, aligned with a model's items. Pure."""
