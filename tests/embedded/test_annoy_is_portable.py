"""`make install` compiles annoy for a common CPU, whichever one it is built on."""

from __future__ import annotations

import platform
import re
from importlib.util import find_spec
from pathlib import Path


def test_annoy_is_compiled_for_a_named_cpu_and_not_for_the_one_it_was_built_on() -> None:
    if platform.system() != "Linux":
        return  # nobody compiles for the build machine there
    spec = find_spec("annoy.annoylib")
    assert spec is not None
    assert spec.origin is not None
    # -frecord-gcc-switches: the compiler notes its flags in the library.
    library = Path(spec.origin).read_bytes()
    assert b".GCC.command.line" in library, (
        "annoy was compiled by other flags than the Makefile's, perhaps for this very CPU: "
        "make clean install"
    )
    cpus = set(re.findall(rb"-m(?:arch|cpu)=([\w.-]+)", library))
    assert cpus <= {b"x86-64-v3", b"x86-64"}
    if platform.machine() == "x86_64":
        assert b"x86-64-v3" in cpus
