"""The command line: composes services, client and servers; one module for each group of commands.

A command is a plain function; `likewise.cli.app` gives it its name. Modules import what is light
(Typer, settings) at their top, and numerical libraries, Kafka and Redis in the functions that need
them, so that `likewise --help` is there at once.
"""
