"""Extensions as anybody might have written them for the SDK alone: they tell what they see."""

import threading

from azure.functions import AppExtensionBase, FuncExtensionBase


def thread():
    return "loop" if threading.current_thread() is threading.main_thread() else "pool"


class WitnessExtension(AppExtensionBase):
    @classmethod
    def tell(cls, *words):
        print("witness:", *words, flush=True)

    @classmethod
    def post_function_load_app_level(cls, function_name, function_directory, *args, **kwargs):
        cls.tell("loaded", function_name, "in", function_directory)

    @classmethod
    def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
        context.greeting = "hello"
        arguments = ",".join(sorted(func_args))
        logger.info("before %s(%s) in %s on %s", context.function_name, arguments, context.function_directory, thread())

    @classmethod
    def post_invocation_app_level(cls, logger, context, func_args=None, func_ret=None, *args, **kwargs):
        logger.info("after %s: %s on %s", context.function_name, type(func_ret).__name__, thread())


class FunctionWitness(FuncExtensionBase):
    def __init__(self, file_path):
        super().__init__(file_path)

    def post_function_load(self, function_name, function_directory, *args, **kwargs):
        WitnessExtension.tell("for itself loaded", function_name)

    def pre_invocation(self, logger, context, func_args=None, *args, **kwargs):
        logger.info("before %s", context.function_name)

    def post_invocation(self, logger, context, func_args=None, func_ret=None, *args, **kwargs):
        logger.info("after %s", context.function_name)
