"""Packaging of python-worker-extension-telemetry."""

from pathlib import Path

from setuptools import setup

setup(
    name="python-worker-extension-telemetry",
    version="1.0.0",
    description="A worker extension that traces the invocations of Azure Functions in Python with OpenCensus.",
    long_description=(Path(__file__).parent / "readme.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The worker-ext authors",
    license="MIT",
    packages=["python_worker_extension_telemetry"],
    package_data={"python_worker_extension_telemetry": ["py.typed"]},
    python_requires=">=3.9",
    # OpenCensus is archived: these are the last releases, and there is nothing to be protected from by upper bounds.
    # No upper bound for azure-functions either: 2.x is the one for Python 3.13 and later.
    install_requires=["azure-functions>=1.7.0", "opencensus>=0.11.4"],
    extras_require={"azure": ["opencensus-ext-azure>=1.1.15"], "requests": ["opencensus-ext-requests>=0.8.0"]},
    # Where a host looks for extensions that an app names in its settings instead of importing them.
    entry_points={"worker_ext.extensions": ["telemetry = python_worker_extension_telemetry:OpenCensusExtension"]},
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Typing :: Typed",
    ],
    zip_safe=False,
)
