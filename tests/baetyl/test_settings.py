"""Settings: mounts and service names, templates, durations and sizes, and what is told about mistakes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support.baetyl import APPLICATION, code_folder, rule, write_baetyl_app

from worker_ext.errors import ConfigurationError
from worker_ext.host.baetyl import application
from worker_ext.host.baetyl.settings_units import fill_template, parse_duration, parse_size
from worker_ext.host.settings_yaml import YamlDocument

MANAGER = "var/db/baetyl/function-manager-conf/service.yml"


def edit(app: Path, name: str, old: str, new: str) -> Path:
    file = app / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return file


def test_mounts_and_service_names_are_resolved(tmp_path):
    app = application.read(write_baetyl_app(tmp_path))
    assert app.hubs.keys() == {"localhub"}
    [function] = app.functions["function-sayhi3"].functions
    assert Path(function.codedir) == code_folder(tmp_path)
    assert app.managers["function-manager"].broker.host == "localhub"


def test_the_limits_that_nobody_sets(tmp_path):
    edit(write_baetyl_app(tmp_path), MANAGER, "min: 0\n    max: 10", "min: 0")
    manager = application.read(tmp_path).managers["function-manager"]
    pool = manager.pools["sayhi3"]
    assert (pool.least, pool.most, pool.idle_time, pool.timeout) == (0, 1, 600.0, 30.0)
    [found] = manager.rules
    assert (found.attempts, found.concurrency) == (3, 1)


def test_the_file_may_lie_in_the_folder_itself(tmp_path):
    write_baetyl_app(tmp_path)
    assert application.read(tmp_path / "var/db/baetyl").root == tmp_path


def test_names_of_images_count_without_registry_and_tag(tmp_path):
    write_baetyl_app(tmp_path)
    edit(
        tmp_path, "var/db/baetyl/application.yml", "image: baetyl-hub", "image: hub.example.com/baetyl/openedge-hub:0.1"
    )
    edit(tmp_path, "var/db/baetyl/application.yml", "baetyl-function-python36", "baetyl-function-python36-opencv41:1.0")
    app = application.read(tmp_path)
    assert app.hubs.keys() == {"localhub"}
    assert app.functions.keys() == {"function-sayhi3"}


def test_services_that_are_not_run_are_known(tmp_path):
    write_baetyl_app(tmp_path)
    services = [*APPLICATION["services"], {"name": "remote", "image": "baetyl-remote-mqtt"}]
    (tmp_path / "var/db/baetyl/application.yml").write_text(yaml.safe_dump(APPLICATION | {"services": services}))
    assert application.read(tmp_path).skipped == {"remote": "baetyl-remote-mqtt"}


def test_templates_are_filled_from_the_environment(tmp_path):
    app = write_baetyl_app(tmp_path, rules=[rule(clientid="machine-{{.MACHINE}}")])
    [found] = application.read(app, {"MACHINE": "7"}).managers["function-manager"].rules
    assert found.client_id == "machine-7"
    with pytest.raises(ConfigurationError, match=r"service.yml:6: the environment variable MACHINE is not set"):
        application.read(app, {})


@pytest.mark.parametrize("template", ["{{ if .A }}", "{{A}}", "{{.A.B}}"])
def test_templates_that_ask_for_more_are_refused(template):
    with pytest.raises(ConfigurationError, match=r"f.yml:2: the template .* is not supported"):
        fill_template(f"a: 1\nb: {template}", {"A": ""}, Path("f.yml"))


@pytest.mark.parametrize(
    ("name", "old", "new", "told"),
    [
        (
            MANAGER,
            "topic: py\n    qos: 1",
            "topic: py\n    qos: 2",
            "rules[0].subscribe.qos must be a whole number",
        ),
        (MANAGER, "max: 10", "max: ten", "functions[0].instance.max must be a whole number from 1 to 1000"),
        (MANAGER, "min: 0", "min: 0\n    timeout: 30", "functions[0].instance.timeout must be a duration like 30s"),
        (MANAGER, "name: sayhi3\n  publish", "name: nobody\n  publish", "must be one of the functions below (sayhi3)"),
        (MANAGER, "service: function-sayhi3", "service: elsewhere", "there is no service 'elsewhere'"),
        (MANAGER, "tcp://localhub:1883", "http://localhub", "hub.address must be an address such as"),
        (MANAGER, "functions:", "functions: [", "this is no YAML"),
        ("var/db/baetyl/function-sayhi-conf/service.yml", "get.handler", "get", "must be module.function"),
        (
            "var/db/baetyl/application.yml",
            "- name: localhub-conf\n    path: etc",
            "- name: lost\n    path: etc",
            "volume",
        ),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path, name, old, new, told):
    file = edit(write_baetyl_app(tmp_path), name, old, new)
    with pytest.raises(ConfigurationError) as caught:
        application.read(tmp_path)
    assert told in str(caught.value)
    assert caught.value.where.startswith(str(file.parent.parent))
    assert "hahaha" not in str(caught.value)


@given(st.integers(0, 500), st.integers(0, 59), st.integers(0, 999))
def test_durations(minutes, seconds, milliseconds):
    written = f"{minutes}m{seconds}s{milliseconds}ms"
    assert parse_duration(written) == pytest.approx(minutes * 60 + seconds + milliseconds / 1000)


@pytest.mark.parametrize("text", ["", "5", "1 s", "s", "-1s", "1x", "1h-2m"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="no duration"):
        parse_duration(text)


@pytest.mark.parametrize(("text", "size"), [("0", 0), ("4194304", 4194304), ("4m", 4194304), ("512K", 524288)])
def test_sizes(text, size):
    assert parse_size(text) == size


@given(st.text(max_size=60))
def test_any_text_is_yaml_or_refused(text):
    try:
        document = YamlDocument(text, "f.yml")
    except ConfigurationError:
        return
    assert document.line() == 1
