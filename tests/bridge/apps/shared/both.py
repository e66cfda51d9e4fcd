"""An extension with classic hooks and added ones."""

from worker_ext import AppExtensionBase


class Both(AppExtensionBase):
    @classmethod
    def tell(cls, words, context):
        print("both:", words, context.function_name, flush=True)

    @classmethod
    def post_function_load_app_level(cls, function_name, function_directory, *args, **kwargs):
        print("both: loaded", function_name, flush=True)

    @classmethod
    def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
        cls.tell("pre", context)
        cls.data(context)["arguments"] = sorted(func_args)

    @classmethod
    def around_invocation_app_level(cls, logger, context, func_args):
        cls.tell("around", context)
        assert cls.data(context)["arguments"] == sorted(func_args)
        return (yield)

    @classmethod
    def on_invocation_error_app_level(cls, logger, context, func_args, error, *args, **kwargs):
        cls.tell("failed", context)

    @classmethod
    def post_invocation_app_level(cls, logger, context, func_args=None, func_ret=None, *args, **kwargs):
        cls.tell("post", context)
