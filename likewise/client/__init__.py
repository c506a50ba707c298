"""The client that apps use; it imports no numerical library."""
