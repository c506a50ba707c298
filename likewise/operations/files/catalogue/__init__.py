"""Files of items: any table of items is read, and JSON lines are written."""
