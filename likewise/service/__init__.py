"""What every service runs on: set-up, signals, logs, stall detection, monitoring."""
