"""Packaging of specs-verl: three packages, three profiles (cpu, gpu, dev), plugins for verl and vLLM."""

from pathlib import Path

from setuptools import find_namespace_packages, setup

ROOT = Path(__file__).parent


def read_requirements(name: str) -> list[str]:
    """Requirement lines of requirements/NAME.txt, comments and options left out."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    stripped = (line.split("#")[0].strip() for line in lines)
    return [line for line in stripped if line and not line.startswith("-")]


setup(
    name="specs-verl",
    version="0.1.0",
    description="Metis-SPECS, Metis-RISE and RL-with-Cold-Start for vision-language models, as plugins of stock verl",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.13",
    # Namespace packages: setuptools takes folders of YAML and of weights for packages, and warns if they are left out.
    packages=find_namespace_packages(include=["specs_verl*", "reward_fns*", "data_prep*"], exclude=["*.__pycache__*"]),
    include_package_data=True,
    package_data={
        "specs_verl": ["config/**/*.yaml", "measure/templates/*", "rails/*.j2"],
        "data_prep": ["nano/base/*", "pages/*.j2"],
    },
    install_requires=read_requirements("base"),
    extras_require={name: read_requirements(name) for name in ("cpu", "gpu", "dev", "bench")},
    entry_points={
        "console_scripts": ["specs = specs_verl.cli:main"],
        "verl.plugins": ["specs_verl = specs_verl.plugin.entry"],
        "vllm.general_plugins": ["specs_verl_cpu = specs_verl.cpu.vllm_plugin:register"],
    },
)
