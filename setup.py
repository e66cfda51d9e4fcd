"""The package ``worker-ext``. Settings of tools are in pyproject.toml; what pip installs is said here."""

from __future__ import annotations

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "worker_ext" / "__init__.py").read_text(encoding="utf-8"))
assert VERSION is not None

DEV = [
    "azure-functions-durable>=1.2.10",
    "azurefunctions-extensions-bindings-blob>=1.0",
    "azurefunctions-extensions-http-fastapi>=1.0",
    "axe-playwright-python>=0.1.4",
    "build>=1.0",
    "cryptography>=42",
    "debugpy>=1.8",
    "hypothesis>=6.100",
    "mkdocs-material>=9.5",
    "mkdocstrings[python]>=0.26",
    "numpy>=1.26",
    "paho-mqtt>=2.1",
    "mypy>=1.10",
    "packaging",
    "playwright>=1.45",
    "pypiserver>=2.1",
    "pytest>=8",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.5",
    "pyyaml>=6",
    "requests>=2.31",
    "ruff>=0.8",
    "setuptools>=64",
    "twine>=5",
    "types-PyYAML",
    "wheel",
]
BENCHMARK = [
    "functions-framework>=3.8",
    "matplotlib>=3.8",
    "paho-mqtt>=2.1",
    "starlette>=0.40",
    "uvicorn[standard]>=0.30",
]
HOST = [
    # Imported only by apps that have storage bindings.
    "azure-data-tables>=12.4",
    "azure-storage-blob[aio]>=12.19",
    "azure-storage-queue[aio]>=12.9",
    "httptools>=0.6",
    "pathspec>=0.12",
    "platformdirs>=4",
    "tzlocal>=5",
    "watchfiles>=0.21",
    'uvloop>=0.19; platform_system != "Windows"',
]
HTTPS = ["cryptography>=42"]
# Wide ranges: what an app pins is what its worker uses. The worker needs no grpcio; it is for hosts of one's own.
RPC = ["grpcio>=1.49", "h2>=4.1", "protobuf>=3.20.2"]
BAETYL = [
    "amqtt>=0.12,<0.13",  # host/baetyl/hub_broker.py replaces inner methods
    "grpcio>=1.60",
    "protobuf>=4.25",
    "pyyaml>=6",
    "watchfiles>=0.21",
    'uvloop>=0.19; platform_system != "Windows"',
]

setup(
    name="worker-ext",
    version=VERSION[1],
    description="Worker extensions for serverless Python functions, and a local host that pip alone installs",
    long_description=(ROOT / "readme.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.11",
    # No upper bound: extensions pin azure-functions themselves, and Python 3.13 needs another major version of it.
    install_requires=["azure-functions>=1.7.0"],
    extras_require={"host": HOST, "https": HTTPS, "rpc": RPC, "baetyl": BAETYL, "dev": DEV, "benchmark": BENCHMARK},
    packages=find_packages(include=["worker_ext", "worker_ext.*"]),
    package_data={
        "worker_ext": ["py.typed", "worker.config.json", "**/*.proto"],
        "worker_ext.host.page": ["static/*"],
        "worker_ext.cli": ["templates/**/*", "templates/**/.*"],
    },
    entry_points={
        "console_scripts": ["func = worker_ext.cli.main:main", "worker-ext = worker_ext.cli.main:main"],
        "pytest11": ["worker_ext = worker_ext.pytest_plugin"],
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Framework :: AsyncIO",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: Python :: 3.14",
        "Typing :: Typed",
    ],
    zip_safe=False,
)
