"""What came out, as JSON and as an HTML page."""
