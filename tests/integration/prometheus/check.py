#!/usr/bin/env python3
"""check.py PIPELINE REPOSITORY: a real Prometheus server scrapes a running pipeline.

Checked: promtool accepts the metrics and the alert rules, the rules' own tests pass, every query of the dashboard and every
alert's metric returns data from the server, and at rest the server's numbers are the pipeline's own ledger.
"""

import json
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

program, repository = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
monitoring = repository / "packaging/monitoring"
here = repository / "tests/integration/prometheus"
failures = []


def expect(good, what):
    if not good:
        failures.append(what)
        print("failed:", what)


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    expect(done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}")


def wait_for(what, condition, seconds=60):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            result = condition()
            if result:
                return result
        except OSError:
            pass
        time.sleep(0.2)
    raise SystemExit(f"failed: {what} within {seconds} s")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


run("promtool", "check", "rules", monitoring / "alerts.yml")
run("promtool", "test", "rules", "alerts_test.yml", cwd=here)

with tempfile.TemporaryDirectory() as folder:
    pipeline = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    metrics_port = int(pipeline.stdout.readline())
    scraped = f"http://127.0.0.1:{metrics_port}/metrics"
    run("promtool", "check", "metrics", input=get(scraped))

    times = []
    for _ in range(21):
        began = time.monotonic()
        get(scraped)
        times.append(1000 * (time.monotonic() - began))
    times.sort()
    print(f"a scrape under load took {times[0]:.1f} to {times[-1]:.1f} ms, in the middle {times[10]:.1f}")
    expect(times[0] < 5, "a scrape under load takes less than 5 ms, where the machine lets it")

    config = pathlib.Path(folder) / "prometheus.yml"
    config.write_text(
        f"global: {{scrape_interval: 1s, evaluation_interval: 1s}}\n"
        f"rule_files: ['{monitoring}/alerts.yml']\n"
        f"scrape_configs: [{{job_name: pipeline, static_configs: [{{targets: ['127.0.0.1:{metrics_port}']}}]}}]\n")
    port = free_port()
    server = subprocess.Popen(
        ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder}/data",
         f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=open(f"{folder}/log", "w"))

    def query(expression):
        answer = get(f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression}))
        return json.loads(answer)["data"]["result"]

    try:
        wait_for("prometheus is ready", lambda: get(f"http://127.0.0.1:{port}/-/ready"))
        wait_for("the pipeline is scraped", lambda: query("up == 1"))
        # A rate needs two scrapes in its range, and some trouble to have happened between them.
        wait_for("there have been dead letters and drops", lambda: query(
            "rate(microbatch_items_dead_lettered_total[10s]) > 0")
            and query("rate(microbatch_items_dropped_total[10s]) > 0"))

        dashboard = json.loads((monitoring / "dashboard.json").read_text())
        queries = 0
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                queries += 1
                expression = target["expr"].replace("$__rate_interval", "10s").replace("$stream", ".*")
                expect(query(expression), f"the panel {panel['title']} has data for {expression}")
        for rule in re.findall(r"microbatch_\w+", (monitoring / "alerts.yml").read_text()):
            expect(query(rule), f"the alerts' {rule} has data")
        streams = {series["metric"]["stream"] for series in query("microbatch_capacity_items")}
        expect(streams == {"orders", 'odd "name"\nwith \\ everything'}, f"the streams' names arrive as they are: {streams}")
        alerts = json.loads(get(f"http://127.0.0.1:{port}/api/v1/rules"))["data"]["groups"][0]["rules"]
        expect(len(alerts) == 6 and all(rule["health"] == "ok" for rule in alerts), "all alert rules are evaluated")
        wait_for("the alert on dead letters fires", lambda: query('ALERTS{alertname="MicrobatchDeadLetters",alertstate="firing"}'))

        pipeline.stdin.write("\n")
        pipeline.stdin.flush()
        ledger = {}
        for line in iter(pipeline.stdout.readline, "end\n"):
            stream, name, value = line.split()
            ledger[stream, name] = int(value)
        for (stream, name), value in ledger.items():
            of = '!="orders"' if stream == "clicks" else '="orders"'
            sought = f'sum(microbatch_items_{name}_total{{stream{of}}}) == {value}'
            wait_for(f"the server's number is the ledger's, {sought}", lambda: query(sought))
        expect(ledger["orders", "dead_lettered"] > 0 and ledger["clicks", "dropped"] > 0, "there was trouble")
        print(f"{queries} queries of the dashboard, {len(ledger)} numbers of the ledger, {ledger['orders', 'delivered']} orders")
    finally:
        pipeline.stdin.close()
        server.terminate()
        server.wait(30)
        expect(pipeline.wait(30) == 0, "the pipeline ends well")
        if failures:
            print(open(f"{folder}/log").read()[-2000:])

sys.exit(1 if failures else 0)
