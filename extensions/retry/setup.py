"""Packaging of python-worker-extension-retry."""

from pathlib import Path

from setuptools import setup

setup(
    name="python-worker-extension-retry",
    version="1.0.0",
    description="A worker extension for Azure Functions in Python that tries failed functions again.",
    long_description=(Path(__file__).parent / "readme.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The worker-ext authors",
    license="MIT",
    packages=["python_worker_extension_retry"],
    package_data={"python_worker_extension_retry": ["py.typed"]},
    python_requires=">=3.11",
    # No upper bound for azure-functions: 2.x is the one for Python 3.13 and later. worker-ext brings the hooks that
    # this extension is built on; it does not have to be the worker that runs the app.
    install_requires=["azure-functions>=1.7.0", "tenacity>=8.2", "worker-ext>=0.1.0"],
    # Where a host looks for extensions that an app names in its settings instead of importing them.
    entry_points={"worker_ext.extensions": ["retry = python_worker_extension_retry:RetryExtension"]},
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Typing :: Typed",
    ],
    zip_safe=False,
)
