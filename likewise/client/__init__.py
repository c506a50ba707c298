"""The client that apps use; it brings no numerical library."""
