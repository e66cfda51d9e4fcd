"""The files that ``func init``, ``func new`` and ``func extensions new`` write, and the table of function templates.

``project/`` has the files of a new app, ``extension/`` those of the package of a new extension. Each function template
is a folder of three files:

- ``function.py.template``: imports, then the function; all of ``__init__.py`` in the v1 model;
- ``decorators.py.template``: its trigger and bindings in the v2 model;
- ``function.json.template``: the same in the v1 model.

Another template is such a folder and a line in :data:`TEMPLATES`. The files are filled in as
:class:`string.Template`, in which ``$$`` stands for a dollar sign.
"""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import NamedTuple


class FunctionTemplate(NamedTuple):
    """A kind of function that ``func new`` can make.

    :param name: its name, as in ``--template HttpTrigger``.
    :param title: its name in prose, accepted as well.
    :param folder: where its files are.
    :param is_http: whether it answers HTTP requests, and so has an authorization level.
    """

    name: str
    title: str
    folder: str
    is_http: bool = False


TEMPLATES = (
    FunctionTemplate("HttpTrigger", "HTTP trigger", "http_trigger", is_http=True),
    FunctionTemplate("TimerTrigger", "Timer trigger", "timer_trigger"),
)


def find_template(name: str) -> FunctionTemplate | None:
    """The template of that name or title; case and spaces do not matter."""
    wanted = _normalized(name)
    for template in TEMPLATES:
        if wanted in (_normalized(template.name), _normalized(template.title)):
            return template
    return None


def render(path: str, **values: str) -> str:
    """A template file with its placeholders filled in.

    :param path: the file below this package, with slashes and without ``.template``.
    :param values: what to fill in. Every placeholder needs a value.
    """
    text = (files(__name__) / f"{path}.template").read_text(encoding="utf-8")
    return Template(text).substitute(values)


def _normalized(name: str) -> str:
    return "".join(name.split()).casefold()
