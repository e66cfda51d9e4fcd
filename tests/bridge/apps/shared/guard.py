"""An extension that must not be skipped."""

from azure.functions import HttpResponse

from worker_ext import AppExtensionBase


class Guard(AppExtensionBase):
    required = True

    @classmethod
    def around_invocation_app_level(cls, logger, context, func_args):
        if "key" not in func_args["req"].params:
            return HttpResponse("no key", status_code=401)
        return (yield)
