"""The search for better settings, on validation likes."""
