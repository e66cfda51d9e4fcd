"""Packaging of python-worker-extension-timer."""

from pathlib import Path

from setuptools import setup

setup(
    name="python-worker-extension-timer",
    version="1.0.0",
    description="A worker extension that measures every invocation of Azure Functions in Python.",
    long_description=(Path(__file__).parent / "readme.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The worker-ext authors",
    license="MIT",
    packages=["python_worker_extension_timer"],
    package_data={"python_worker_extension_timer": ["py.typed"]},
    python_requires=">=3.9",
    # No upper bound: azure-functions 2.x is the one for Python 3.13 and later, and `<2.0.0` would force an old
    # release on them.
    install_requires=["azure-functions>=1.7.0"],
    # Where a host looks for extensions that an app names in its settings instead of importing them.
    entry_points={"worker_ext.extensions": ["timer = python_worker_extension_timer:TimerExtension"]},
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Intended Audience :: Developers",
        "Operating System :: OS Independent",
        "Programming Language :: Python :: 3",
        "Typing :: Typed",
    ],
    zip_safe=False,
)
