"""The gateway: likewise over HTTP, and its page."""
