"""`demo`: the whole path on one machine, with likes of real people; `command` has the main path."""
