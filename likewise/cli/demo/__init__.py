"""`demo`: the whole pipeline on one machine, with real likes. Start reading with `command`."""
