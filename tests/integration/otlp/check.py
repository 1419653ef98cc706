#!/usr/bin/env python3
"""check.py PROGRAM: what the example writes is OTLP/JSON, by the published protobuf definitions (PyPI: opentelemetry-proto),
and tells the windows' lives: every attempt lies within its window and names it as its parent.
"""

import base64
import json
import pathlib
import subprocess
import sys
import tempfile
import venv

program = sys.argv[1]

# The definitions, once per build folder; pip is the way to have them.
try:
    from google.protobuf import json_format
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
except ImportError:
    folder = pathlib.Path("otlp_definitions")
    if "--again" in sys.argv:
        sys.exit("failed: the definitions are installed and cannot be imported")
    try:
        if not (folder / "complete").exists():
            venv.create(folder, with_pip=True)
            subprocess.run([folder / "bin/pip", "install", "--quiet", "opentelemetry-proto"], check=True, timeout=60,
                           capture_output=True)
            (folder / "complete").touch()
    except (subprocess.SubprocessError, OSError, SystemExit) as error:  # Debian's venv exits where pip is missing
        print(f"skipped, because opentelemetry-proto cannot be had here: {error}")
        sys.exit(0)
    sys.exit(subprocess.run([folder / "bin/python", __file__, program, "--again"]).returncode)

failed = 0


def expect(good, what):
    global failed
    if not good:
        failed += 1
        print("failed:", what)


with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder) / "traces.jsonl"
    subprocess.run([program, path], check=True, stdout=subprocess.DEVNULL, timeout=60)
    lines = path.read_text().splitlines()

spans = []
for line in lines:
    request = json.loads(line)
    for resource in request["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                # OTLP/JSON differs from protobuf's own JSON in one thing: these are hexadecimal, not base64.
                for name, length in (("traceId", 16), ("spanId", 8), ("parentSpanId", 8)):
                    if name in span:
                        raw = bytes.fromhex(span[name])
                        expect(len(raw) == length, f"{name} has {length} bytes: {span[name]}")
                        span[name] = base64.b64encode(raw).decode()
    message = json_format.ParseDict(request, trace_service_pb2.ExportTraceServiceRequest())  # an unknown field is an error
    for resource in message.resource_spans:
        expect(resource.resource.attributes[0].key == "service.name", "the resource names the service")
        for scope in resource.scope_spans:
            spans += scope.spans

windows = {s.span_id: s for s in spans if s.name == "window"}
attempts = [s for s in spans if s.name == "attempt"]
expect(len(windows) == 3, f"three windows: {len(windows)}")
expect(len({s.span_id for s in spans}) == len(spans), "every span has an identifier of its own")
for span in attempts:
    window = windows.get(span.parent_span_id)
    expect(window is not None, f"an attempt's parent is its window: {span.parent_span_id}")
    if window is not None:
        expect(window.trace_id == span.trace_id, "an attempt is in its window's trace")
        expect(window.start_time_unix_nano <= span.start_time_unix_nano <= span.end_time_unix_nano
               <= window.end_time_unix_nano, "an attempt lies within its window")
failures = [s for s in attempts if s.status.code == 2]
expect(failures and all(s.status.message == 'no such "customer"' for s in failures), "failed attempts tell their error")
expect(len(attempts) - len(failures) >= 3, "attempts that succeeded are told")
print(f"{len(lines)} requests, {len(windows)} windows, {len(attempts)} attempts, {len(failures)} of them failed")
sys.exit(1 if failed else 0)
