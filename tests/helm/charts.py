"""Helm, built once from the version that tools/go.mod pins, and the chart as it renders it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHART = ROOT / "ops/helm/likewise"
VALUES = sorted((HERE / "values").glob("*.yaml"))
BUILT = ROOT / ".clients"
"""What is built; kept between runs, and left out of git."""
KUBERNETES = "1.37"
_BUILD_TIMEOUT_S = 900
_TIMEOUT_S = 300


class CommandError(Exception):
    """A command failed; the text is what it printed."""


@cache
def helm() -> str:
    """Build Helm; return its path."""
    assert shutil.which("go"), "the tests of the chart need Go; see CONTRIBUTING.md"
    binary = BUILT / "helm"
    run(
        *("go", "build", "-o", str(binary), "helm.sh/helm/v3/cmd/helm"),
        directory=HERE / "tools",
        timeout_s=_BUILD_TIMEOUT_S,
    )
    return str(binary)


def run(*command: str, directory: Path = ROOT, timeout_s: float = _TIMEOUT_S) -> str:
    """Run a command to its end and return its standard output.

    Raises:
        CommandError: its exit code is not 0.
    """
    done = subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=timeout_s, check=False
    )
    if done.returncode:
        raise CommandError(done.stdout + done.stderr)
    return done.stdout


@cache
def render(values: Path, *options: str) -> str:
    """Return the manifests of a release called `shop`, as Helm prints them."""
    return run(
        *(helm(), "template", "shop", str(CHART), "--namespace", "likes"),
        *("--kube-version", KUBERNETES, "--values", str(values), *options),
    )


class Chart(NamedTuple):
    """The objects that the chart creates."""

    objects: list[dict[str, Any]]

    @classmethod
    def of(cls, values: Path, *options: str) -> Chart:
        """Render it with these values."""
        return cls([one for one in yaml.safe_load_all(render(values, *options)) if one])

    def kind(self, kind: str) -> dict[str, dict[str, Any]]:
        """Return the objects of this kind, by name without the name of the release."""
        return {
            one["metadata"]["name"].removeprefix("shop-likewise").lstrip("-"): one
            for one in self.objects
            if one["kind"] == kind
        }

    def pods(self) -> dict[str, dict[str, Any]]:
        """Return the specifications of all pods, by service; the job's is `topics`."""
        owners = self.kind("Deployment") | self.kind("Job")
        return {name: one["spec"]["template"]["spec"] for name, one in owners.items()}

    def environment(self, service: str) -> dict[str, str]:
        """Return the variables of a service: those of its ConfigMaps, and its own."""
        [container] = self.pods()[service]["containers"]
        variables = {one["name"]: one["value"] for one in container["env"]}
        for source in container.get("envFrom", []):
            if "configMapRef" in source:
                name = source["configMapRef"]["name"].removeprefix("shop-likewise-")
                variables |= self.kind("ConfigMap")[name]["data"]
        return variables


def validate(manifests: Path) -> str:
    """Validate built-in kinds with the schemas of Kubernetes; return what the validator printed.

    Raises:
        CommandError: an object is invalid.
    """
    uv = [str(Path(sys.executable).parent / "uv"), "run", "--no-project", "--isolated", "--quiet"]
    return run(
        *(*uv, "--python", sys.executable, "--with-requirements", str(HERE / "requirements.lock")),
        *("kubernetes-validate", "--strict", "-k", KUBERNETES, str(manifests)),
    )
