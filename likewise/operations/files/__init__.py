"""Files of likes, one row each: CSV (plain or compressed) and Parquet, in both directions."""
