"""A worker extension that traces the invocations of Azure Functions in Python with OpenCensus.

Importing this module registers it: every invocation gets a span and, as ``context.tracer``, a tracer that continues
the trace of whoever triggered it. ``OpenCensusExtension.configure()`` says where the spans go.
"""

from .extension import OpenCensusExtension

__all__ = ["OpenCensusExtension"]
