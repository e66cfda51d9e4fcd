"""Packaging of python-worker-extension-opentelemetry."""

from pathlib import Path

from setuptools import setup

setup(
    name="python-worker-extension-opentelemetry",
    version="1.0.0",
    description="A worker extension for Azure Functions in Python: traces, metrics and logs through OpenTelemetry.",
    long_description=(Path(__file__).parent / "readme.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The worker-ext authors",
    license="MIT",
    packages=["python_worker_extension_opentelemetry"],
    package_data={"python_worker_extension_opentelemetry": ["py.typed"]},
    python_requires=">=3.9",
    # No upper bound for azure-functions: 2.x is the one for Python 3.13 and later.
    install_requires=[
        "azure-functions>=1.7.0",
        "opentelemetry-sdk>=1.35",
        "opentelemetry-exporter-otlp-proto-http>=1.35",
        "opentelemetry-instrumentation-threading>=0.56b0",
    ],
    # Where a host looks for extensions that an app names in its settings instead of importing them.
    entry_points={
        "worker_ext.extensions": ["opentelemetry = python_worker_extension_opentelemetry:OpenTelemetryExtension"]
    },
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Typing :: Typed",
    ],
    zip_safe=False,
)
