"""What operators do with a deployment: status, verification, replay, dead letters, files."""
