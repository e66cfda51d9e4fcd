"""Extensions that use the hooks which worker-ext adds."""

import threading

from worker_ext import AppExtensionBase


def thread():
    return "loop" if threading.current_thread() is threading.main_thread() else "pool"


class Outer(AppExtensionBase):
    priority = 1
    starts = 0

    @classmethod
    async def on_startup(cls):
        cls.starts += 1
        print("started", cls.starts, "on", thread(), flush=True)

    @classmethod
    async def on_shutdown(cls):
        print("shut down", flush=True)

    @classmethod
    async def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
        cls.data(context)["mine"] = context.function_name
        logger.info("async pre on %s", thread())

    @classmethod
    def around_invocation_app_level(cls, logger, context, func_args):
        logger.info("around begins on %s", thread())
        result = yield
        logger.info("around ends for %s", cls.data(context)["mine"])
        return result

    @classmethod
    def on_invocation_error_app_level(cls, logger, context, func_args, error, *args, **kwargs):
        logger.info("failed with %r", error)


class Inner(AppExtensionBase):
    @classmethod
    async def around_invocation_app_level(cls, logger, context, func_args, call_next):
        logger.info("coroutine begins on %s", thread())
        try:
            return await call_next()
        finally:
            logger.info("coroutine ends")


class Censor(AppExtensionBase):
    @classmethod
    def on_log(cls, record):
        if "secret" in record.message:
            record.message = f"(hidden from {record.context.function_name})"
        return "noise" not in record.message
