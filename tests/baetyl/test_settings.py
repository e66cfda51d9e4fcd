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
from worker_ext.host.baetyl.circles import Route, circles
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
        (MANAGER, "topic: py/hi", "topic: py/+", "rules[0].publish.topic must be a topic to publish to"),
        (MANAGER, "topic: py\n", "topic: 'py/#/x'\n", "rules[0].subscribe.topic must be a topic to subscribe to"),
        (MANAGER, "topic: py\n", "topic: $share/py\n", "'$share/py' is no shared subscription"),
        (MANAGER, "functions:", "rules: []\nfunctions:", "'rules' is there already, in line 5"),
        (MANAGER, "functions:", "- clientid: rule-py\nfunctions:", "clientid must be another than that of line 6"),
        (MANAGER, "rule-py", "rule-{{.PY", "the template '{{.PY' is not supported"),
        (MANAGER, "tcp://localhub:1883", "http://localhub", "hub.address must be an address such as"),
        (MANAGER, "functions:", "functions: [", "this is no YAML"),
        ("var/db/baetyl/function-sayhi-conf/service.yml", "get.handler", "get", "must be module.function"),
        (
            "var/db/baetyl/application.yml",
            "- name: localhub-conf\n    path: etc",
            "- name: lost\n    path: etc",
            "volume",
        ),
        (
            "var/db/baetyl/application.yml",
            "services:",
            "services: []\nformer:",
            "services must be a list with a service",
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


def test_a_service_without_settings_is_named(tmp_path):
    (write_baetyl_app(tmp_path) / "var/db/baetyl/function-sayhi-conf/service.yml").unlink()
    with pytest.raises(ConfigurationError, match=r"application.yml:\d+: the settings of the service function-sayhi3"):
        application.read(tmp_path)


def test_what_is_nearly_a_setting_is_told(tmp_path):
    edit(write_baetyl_app(tmp_path), MANAGER, "publish:", "publsh:")
    edit(tmp_path, "var/db/baetyl/localhub-conf/service.yml", "permit:", "permits:")
    hub, *_, manager = application.read(tmp_path).warnings
    assert "service.yml:12: rules[0].publsh is not a known setting, did you mean publish?" in manager
    assert "principals[0].permissions[0].permits is not a known setting, did you mean permit?" in hub


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([rule(topic="py", reply="py")], ["py -> py by rule rule-py (", "service.yml:6)"]),
        ([rule(topic="py/+"), rule(topic="a", reply="b")], ["py/+ -> py/hi by rule rule-py-+ ("]),
        ([rule(topic="$share/g/py", reply="py")], ["$share/g/py -> py by rule"]),
        (
            [rule(topic="a", reply="b"), rule(topic="b", reply="a")],
            ["a -> b by rule rule-a (", "b -> a by rule rule-b ("],
        ),
        ([rule(topic="in/#", reply="elsewhere")], ["in/# -> elsewhere by rule", "elsewhere -> in/1 by the hub's sub"]),
    ],
)
def test_rules_that_make_a_circle_are_told(tmp_path, rules, told):
    write_baetyl_app(tmp_path, rules=rules)
    hub = tmp_path / "var/db/baetyl/localhub-conf/service.yml"
    route = {"source": {"topic": "elsewhere"}, "target": {"topic": "in/1"}}
    hub.write_text(hub.read_text() + yaml.safe_dump({"subscriptions": [route]}))
    [warning] = application.read(tmp_path).warnings
    assert "goes in a circle" in warning
    assert all(part in warning for part in told)


def test_rules_that_follow_each_other_make_no_circle(tmp_path):
    write_baetyl_app(tmp_path, rules=[rule(topic="a", reply="b"), rule(topic="b", reply="c"), rule(topic="+/a")])
    assert application.read(tmp_path).warnings == []


@given(st.lists(st.tuples(*[st.sampled_from(["a", "b", "c", "d"])] * 2), max_size=8))
def test_circles_are_found_as_somebody_who_walks_finds_them(pairs):
    routes = [Route(source, target, str(number)) for number, (source, target) in enumerate(pairs)]

    def returns(route: Route) -> bool:
        reached: set[str] = set()
        waiting = [route.target]
        while waiting:
            topic = waiting.pop()
            if topic not in reached:
                reached.add(topic)
                waiting += [target for source, target in pairs if source == topic]
        return route.source in reached

    found = circles(routes)
    assert {route for circle in found for route in circle} == {route for route in routes if returns(route)}
    for circle in found:
        assert all(a.target == b.source for a, b in zip(circle, [*circle[1:], circle[0]], strict=True))


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
