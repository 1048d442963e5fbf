"""What deploy/ gives to Prometheus, Alertmanager and Grafana is valid, complete, and fits the rest of the checkout."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.monitoring.queries import (
    DASHBOARDS,
    PROMETHEUS,
    ROOT,
    alerts,
    dashboard_queries,
    panels,
    recorded_names,
    rule_queries,
)

ALERTMANAGER = PROMETHEUS / "alertmanager.yml"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
ALERTS = alerts()


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rule_tests() -> list[dict[str, Any]]:
    files = sorted((PROMETHEUS / "tests").glob("*.yml"))
    return [
        one for file in files for test in yaml.safe_load(file.read_text())["tests"] for one in test["alert_rule_test"]
    ]


def anchors() -> set[str]:
    """The places in docs/operations.md that a link can lead to."""
    text = (ROOT / "docs" / "operations.md").read_text()
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-") for title in titles} | set(
        re.findall(r'<a (?:id|name)="([^"]+)"', text)
    )


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    folder = shutil.copytree(PROMETHEUS, tmp_path / "prometheus")
    (folder / "secrets" / "carenotify_metrics_key").write_text("a key")
    assert "SUCCESS" in run("promtool", "check", "config", folder / "prometheus.yml")


def test_every_rule_does_what_its_tests_say() -> None:
    run("promtool", "check", "rules", *sorted((PROMETHEUS / "rules").glob("*.yml")))
    files = sorted((PROMETHEUS / "tests").glob("*.yml"))
    assert {file.stem for file in files} == {file.stem for file in (PROMETHEUS / "rules").glob("*.yml")} - {"recording"}
    with ThreadPoolExecutor(2) as testers:
        list(testers.map(lambda file: run("promtool", "test", "rules", file), files))


def test_every_alert_is_seen_to_fire_and_to_be_silent() -> None:
    fires = {one["alertname"] for one in rule_tests() if one["exp_alerts"]}
    silent = {one["alertname"] for one in rule_tests() if not one["exp_alerts"]}
    assert fires == ALERTS.keys()
    assert silent == ALERTS.keys() - {"AlertsAlive"}  # which is never silent


def test_every_alert_says_how_bad_it_is_and_what_it_means() -> None:
    for name, rule in ALERTS.items():
        assert rule["labels"]["severity"] in ({"none"} if name == "AlertsAlive" else {"critical", "warning"}), name
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, name


def test_every_alert_leads_to_what_to_do() -> None:
    links = {rule["annotations"]["runbook_url"] for rule in ALERTS.values()}
    assert links - {f"docs/operations.md#{anchor}" for anchor in anchors()} == set()


def test_every_alert_is_explained_with_its_severity_and_its_link() -> None:
    rows = re.findall(
        r"^\| \[`(\w+)`\]\((\S+)\) \| (\w+) \| ", (ROOT / "docs" / "monitoring.md").read_text(), re.MULTILINE
    )
    assert {(name, f"docs/{link}", severity) for name, link, severity in rows} == {
        (name, rule["annotations"]["runbook_url"], rule["labels"]["severity"]) for name, rule in ALERTS.items()
    }


def test_alertmanager_takes_its_configuration() -> None:
    assert "SUCCESS" in run("amtool", "check-config", ALERTMANAGER)


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["alertname=NoPlan", "severity=critical"], "on-call"),
        (["alertname=QueueGrows", "severity=warning"], "staff"),
        (["alertname=AlertsAlive", "severity=none"], "nobody"),
        (["alertname=OfSomebodyElse"], "staff"),
    ],
    ids=["critical", "warning", "alive", "unknown"],
)
def test_an_alert_goes_to_whom_its_severity_concerns(labels: list[str], receiver: str) -> None:
    run("amtool", "config", "routes", "test", "--config.file", ALERTMANAGER, f"--verify.receivers={receiver}", *labels)


def test_critical_alerts_go_every_way_and_no_secret_is_in_the_file() -> None:
    receivers = {one["name"]: one for one in yaml.safe_load(ALERTMANAGER.read_text())["receivers"]}
    assert receivers["on-call"].keys() == {"name", "email_configs", "slack_configs", "pagerduty_configs"}
    secret = re.findall(r"^\s*(?:- )?(\w*(?:password|url|key)\w*):", ALERTMANAGER.read_text(), re.MULTILINE)
    assert {name for name in secret if not name.endswith("_file")} == set()
    ignored = [line for line in (PROMETHEUS / "secrets" / ".gitignore").read_text().splitlines() if line[0] != "#"]
    assert ignored == ["*", "!.gitignore"]


def test_an_alert_that_silences_others_and_those_that_it_silences_are_there() -> None:
    matchers = [
        matcher
        for rule in yaml.safe_load(ALERTMANAGER.read_text())["inhibit_rules"]
        for matcher in (*rule["source_matchers"], *rule["target_matchers"])
    ]
    named = [name for matcher in matchers for name in re.findall(r"[A-Z]\w+", matcher)]
    assert named
    assert set(named) <= ALERTS.keys()


def test_every_metric_of_ours_that_is_asked_for_is_documented() -> None:
    documented = set(re.findall(r"^\| `(carenotify_\w+)`", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE))
    asked = {name for query in (*rule_queries(), *dashboard_queries()) for name in query.metrics}
    ours = {re.sub(r"_bucket$", "", name) for name in asked if name.startswith("carenotify_")}
    assert ours
    assert ours <= documented


def test_every_recorded_figure_is_used_and_every_figure_that_is_used_is_recorded() -> None:
    asked = {name for query in (*rule_queries(), *dashboard_queries()) for name in query.metrics}
    assert {name for name in asked if name.startswith("carenotify:")} == recorded_names()


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_is_complete(file: Path) -> None:
    dashboard = json.loads(file.read_text())
    assert dashboard["uid"] == f"carenotify-{file.stem}"
    assert dashboard["title"].startswith("carenotify: ")
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    for panel in panels(dashboard):
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["fieldConfig"]["defaults"]["thresholds"]["steps"][0]["value"] is None
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_no_panel_lies_on_another_or_beyond_the_edge(file: Path) -> None:
    places = [panel["gridPos"] for panel in json.loads(file.read_text())["panels"]]
    assert all(place["x"] + place["w"] <= 24 for place in places)
    taken = [{(x, y) for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])} for p in places]
    assert not any(one & other for one, other in itertools.combinations(taken, 2))


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_what_can_be_chosen_on_a_dashboard_is_used_there(file: Path) -> None:
    dashboard = json.loads(file.read_text())
    names = {variable["name"] for variable in dashboard["templating"]["list"]}
    text = json.dumps(dashboard["panels"])
    used = set(re.findall(r"\$\{?([a-z]\w*)", text))
    assert names == used


def test_there_is_a_dashboard_for_each_question() -> None:
    assert {file.stem for file in DASHBOARDS} == {"overview", "delivery", "queues", "services", "errors"}


def test_grafana_is_given_the_dashboards_and_the_prometheus_that_they_ask() -> None:
    folder = ROOT / "deploy" / "grafana" / "provisioning"
    provider = yaml.safe_load((folder / "dashboards" / "carenotify.yml").read_text())["providers"][0]
    source = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"][0]
    mounts = dict(volume.split(":")[:2] for volume in COMPOSE["services"]["grafana"]["volumes"])
    assert mounts["./deploy/grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"
    assert source["url"] == "http://prometheus:9090"


def test_the_secrets_that_are_given_away_are_named_and_not_the_folder_with_what_git_knows_of_it() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    given = [
        line.split("#")[0].split()[3:] for line in text.splitlines() if line.startswith(("sudo chown", "sudo chmod"))
    ]
    read = "".join((PROMETHEUS / name).read_text() for name in ("prometheus.yml", "alertmanager.yml"))
    secrets = set(re.findall(r"_file: \S*secrets/(\w+)", read))
    assert [set(files) for files in given] == [secrets, secrets]


def grafana_starts(password: str) -> subprocess.CompletedProcess[str]:
    """Its entrypoint, as Compose hands it on, where something else stands in for Grafana."""
    shell, option, script = COMPOSE["services"]["grafana"]["entrypoint"]
    script = script.replace("$$", "$").replace("/run.sh", "echo started")
    given = {"GF_SECURITY_ADMIN_PASSWORD": password, "PATH": "/usr/bin:/bin"}
    return subprocess.run([shell, option, script], env=given, capture_output=True, text=True, check=False)


def test_grafana_does_not_start_without_a_password_and_says_how_to_make_one() -> None:
    assert COMPOSE["services"]["grafana"]["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == "${GRAFANA_PASSWORD:-}"
    refused = grafana_starts("")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("GRAFANA_PASSWORD is not set in .env")
    assert (grafana_starts("a-secret").returncode, grafana_starts("a-secret").stdout) == (0, "started\n")


def test_the_targets_are_services_of_docker_compose() -> None:
    for file in (PROMETHEUS / "targets").glob("*.yml"):
        for target in yaml.safe_load(file.read_text()):
            for address in target["targets"]:
                assert address.split(":")[0] in {*COMPOSE["services"], "127.0.0.1"}
    names = re.search(r"names: \[(.*)\]", (PROMETHEUS / "prometheus.yml").read_text())
    assert names is not None
    assert set(names[1].split(", ")) == {name for name in COMPOSE["services"] if name.startswith("worker")}


def test_what_is_mounted_is_there_and_what_is_watched_costs_nothing_unless_asked_for() -> None:
    watching = {name for name, service in COMPOSE["services"].items() if service.get("profiles") == ["monitoring"]}
    assert watching == {"prometheus", "alertmanager", "grafana", "postgres-exporter", "node-exporter"}
    for name in {*watching, "rabbitmq"}:
        for volume in COMPOSE["services"][name].get("volumes", []):
            if volume.startswith("./"):
                assert (ROOT / volume.split(":")[0]).exists(), volume
    assert "rabbitmq_prometheus" in (ROOT / "docker" / "rabbitmq-enabled-plugins").read_text()
