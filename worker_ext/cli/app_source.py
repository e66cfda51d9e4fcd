"""Read and extend the source of a v2 app, ``function_app.py``, without importing it."""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import re
import symtable
import tokenize
from collections.abc import Iterable, Iterator
from pathlib import Path

from worker_ext.errors import ConfigurationError

APP_CLASSES = frozenset({"FunctionApp", "AsgiFunctionApp", "WsgiFunctionApp", "DFApp"})
"""The classes that v2 functions are registered with: of azure-functions, the last of azure-functions-durable."""

BLUEPRINT_CLASSES = frozenset({"Blueprint"})
"""The class that v2 functions of other files are registered with: of azure-functions or azure-functions-durable."""

_BUILTINS = frozenset(dir(builtins))


class AppSource:
    """The source of a v2 app, or of a blueprint of one.

    :param path: its file.
    :param classes: what functions are registered with in that file.
    :raises ConfigurationError: it cannot be read, is not valid Python, or makes no such object at its top level.
    """

    def __init__(self, path: Path, classes: frozenset[str] = APP_CLASSES) -> None:
        self.path = path
        self._classes = classes
        self._encoding, text = _read(path)
        self._newline = "\r\n" if "\r\n" in text else "\n"
        self._text = text.replace("\r\n", "\n").replace("\r", "\n")
        self._module = _parse(path, self._text)
        self._imports = dict(_imports(self._module.body))
        self._bound_names = frozenset(_bound_names(self._text))
        self.app, self._app_line = self._find_app()
        """The variable that holds the ``FunctionApp`` or ``Blueprint``."""

    @property
    def functions_module(self) -> str:
        """The name by which the file knows the module ``azure.functions``; ``func`` if it does not yet."""
        for name, target in self._imports.items():
            if target == "azure.functions" and name != target:
                return name
        return "func"

    def find_function(self, name: str) -> int | None:
        """The line of the function that is registered under ``name``, or None. Case does not matter to hosts."""
        for statement in self._module.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                registered = self._registered_name(statement)
                if registered is not None and registered.casefold() == name.casefold():
                    return statement.lineno
        return None

    def identifier_for(self, name: str) -> str:
        """What to call the Python function that serves the function ``name``.

        The name itself, where Python allows it and where it hides nothing that the file or Python calls so.
        """
        identifier = re.sub(r"\W", "_", name)
        while keyword.iskeyword(identifier) or identifier in _BUILTINS or identifier in self._bound_names:
            identifier += "_"
        return identifier

    def append(self, code: str, decorators: str) -> None:
        """Add a function at the end of the file, and the imports that it needs after those that are there.

        :param code: a Python module: imports, then the function.
        :param decorators: what goes before the function, complete lines.
        :raises ConfigurationError: a name that ``code`` imports means something else in the file, or the file
            cannot be written.
        """
        missing, function = self._split(code)
        self._write(f"{self._with_imports(missing).rstrip()}\n\n\n{decorators}{function}\n")

    def registers(self, module: str, blueprint: str) -> bool:
        """Whether the file imports the variable ``blueprint`` of ``module``, which is only done to register it."""
        return f"{module}.{blueprint}" in self._imports.values()

    def register(self, module: str, blueprint: str) -> None:
        """Register a blueprint with the app, once the app is made and everything is imported.

        :param module: the blueprint's module.
        :param blueprint: the variable that holds it.
        :raises ConfigurationError: the file cannot be written.
        """
        name = blueprint
        while name in self._bound_names:
            name = f"{module}_{name}"
        alias = "" if name == blueprint else f" as {name}"
        lines = self._text.split("\n")
        lines.insert(max(self._app_line, self._end_of_imports()), f"{self.app}.register_functions({name})")
        self._text = "\n".join(lines)
        self._write(self._with_imports([f"from {module} import {blueprint}{alias}"]))

    def _with_imports(self, imports: list[str]) -> str:
        """The text with more imports, after those that are there."""
        lines = self._text.split("\n")  # not splitlines(), which knows more line ends than Python's own syntax
        position = self._end_of_imports()
        lines[position:position] = imports
        return "\n".join(lines)

    def _write(self, text: str) -> None:
        _parse(self.path, text)  # whatever the file looked like, never leave it broken
        try:
            self.path.write_bytes(text.replace("\n", self._newline).encode(self._encoding))
        except OSError as error:
            raise ConfigurationError(f"cannot be written: {error.strerror}", file=self.path) from error

    def _split(self, code: str) -> tuple[list[str], str]:
        """The imports of ``code`` that the file lacks, and what follows the imports."""
        module = ast.parse(code)
        missing: list[str] = []
        for statement in module.body:
            if not isinstance(statement, ast.Import | ast.ImportFrom):
                return missing, "\n".join(code.splitlines()[statement.lineno - 1 :])
            lacking = [(name, target) for name, target in _imports([statement]) if self._imports.get(name) != target]
            for name, target in lacking:
                if name in self._bound_names:
                    raise ConfigurationError(
                        f"the template needs the name `{name}` for {target}, but the file uses it for something else",
                        file=self.path,
                        hint="Rename it there, then try again.",
                    )
            if lacking:
                missing.append(ast.unparse(statement))
        raise ValueError("the code has no function")

    def _end_of_imports(self) -> int:
        """The number of the line after which another import can stand."""
        body = self._module.body
        imports = [statement for statement in body if isinstance(statement, ast.Import | ast.ImportFrom)]
        if imports:
            return imports[-1].end_lineno or 0
        return (body[0].end_lineno or 0) if ast.get_docstring(self._module) is not None else 0

    def _find_app(self) -> tuple[str, int]:
        for statement in self._module.body:
            if isinstance(statement, ast.Assign):
                target, value = statement.targets[0], statement.value
            elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
                target, value = statement.target, statement.value
            else:
                continue
            if isinstance(target, ast.Name) and isinstance(value, ast.Call) and self._is_app_class(value.func):
                return target.id, statement.end_lineno or 0
        wanted, variable = ("Blueprint", "bp") if self._classes is BLUEPRINT_CLASSES else ("FunctionApp", "app")
        raise ConfigurationError(
            f"there is no {wanted} that a function could be added to",
            file=self.path,
            hint=f"Add `{variable} = func.{wanted}()` after `import azure.functions as func`.",
        )

    def _is_app_class(self, callee: ast.expr) -> bool:
        name = ast.unparse(callee)
        return self._imports.get(name, name).rpartition(".")[2] in self._classes

    def _registered_name(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> str | None:
        """The name under which a function is registered with the app; None if it is a plain Python function."""
        name = None
        for decorator in function.decorator_list:
            if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)):
                continue
            if ast.unparse(decorator.func.value) != self.app:
                continue
            name = name or function.name
            if decorator.func.attr == "function_name":
                values = [*decorator.args, *(keyword.value for keyword in decorator.keywords if keyword.arg == "name")]
                if values and isinstance(values[0], ast.Constant) and isinstance(values[0].value, str):
                    name = values[0].value
        return name


def _read(path: Path) -> tuple[str, str]:
    """The encoding of a Python file (PEP 263), and its text with line ends as they are."""
    try:
        content = path.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return encoding, content.decode(encoding)
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", file=path) from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"is not text in the encoding that it declares: {error}", file=path) from error


def _parse(path: Path, text: str) -> ast.Module:
    try:
        return ast.parse(text, filename=str(path))
    except (SyntaxError, ValueError) as error:  # ValueError: null bytes, before Python 3.12
        line = error.lineno if isinstance(error, SyntaxError) else None
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ConfigurationError(f"syntax error: {reason}", file=path, line=line) from error


def _imports(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, str]]:
    """The names that imports bind, each with the module or object it stands for."""
    for statement in statements:
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                yield alias.asname or alias.name, alias.name
        elif isinstance(statement, ast.ImportFrom) and statement.level == 0:
            for alias in statement.names:
                yield alias.asname or alias.name, f"{statement.module}.{alias.name}"


def _bound_names(text: str) -> Iterator[str]:
    """The names that the top level of a module binds."""
    for symbol in symtable.symtable(text, "", "exec").get_symbols():
        if symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace():
            yield symbol.get_name()
