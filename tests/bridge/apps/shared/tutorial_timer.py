"""An extension of the kind that the tutorial on worker extensions teaches: times by invocation id, the body changed."""

import time

from azure.functions import AppExtensionBase, HttpResponse


class TimerExtension(AppExtensionBase):
    @classmethod
    def init(cls):
        cls.began = {}

    @classmethod
    def configure(cls, *args, append_to_http_response=False, **kwargs):
        cls.append_to_http_response = append_to_http_response

    @classmethod
    def pre_invocation_app_level(cls, logger, context, func_args, *args, **kwargs):
        cls.began[context.invocation_id] = time.time()

    @classmethod
    def post_invocation_app_level(cls, logger, context, func_args, func_ret, *args, **kwargs):
        elapsed = time.time() - cls.began.pop(context.invocation_id)
        logger.info("%s took %s sec", context.function_name, elapsed)
        if cls.append_to_http_response and isinstance(func_ret, HttpResponse):
            func_ret._HttpResponse__body += f" (TimeElapsed: {elapsed} sec)".encode()
