"""What ``docs/stock-workers.md`` tells users to write works as it stands."""

from __future__ import annotations

import re
from textwrap import dedent

from bridge.conftest import get
from support.hosting import write_app
from support.stock_runtime import ROOT


def test_the_example(run_stock, tmp_path):
    text = (ROOT / "docs" / "stock-workers.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert example is not None
    app = write_app(tmp_path, {"function_app.py": dedent(example[1])})
    done = run_stock(app, [get("hello")])
    assert re.fullmatch(r"Hello\. \(TimeElapsed: \S+ sec\)", done.body(0))
