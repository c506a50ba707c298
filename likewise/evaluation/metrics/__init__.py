"""What lists of recommendations are worth: metrics by user, means over users, intervals."""
