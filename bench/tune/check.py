#!/usr/bin/env python3
"""check.py BENCH_TUNE COMPILER FLAGS...: bench_tune runs, and what it leaves behind can be used.

The page must be well-formed, with all its charts and nothing from elsewhere; the code that it
recommends must compile; options that make no sense must be refused by name. Figures are not looked
at: they mean something on a quiet machine alone.
"""

import re
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

program, *compiler = sys.argv[1:]
failures = []


def expect(condition, what):
    if not condition:
        failures.append(what)


def run(*options):
    return subprocess.run([program, *options], capture_output=True, text=True, timeout=300)


def check_page(path, code):
    page = xml.parse(path).getroot()  # throws where it is not well-formed
    expect(page.tag == "html", "the page is no html")
    names = {element.tag for element in page.iter()}
    foreign = names & {"script", "link", "img", "iframe", "object", "embed", "use", "image"}
    expect(not foreign, f"the page fetches or runs something: {foreign}")
    for element in page.iter():
        for name, value in element.attrib.items():
            expect(not re.match(r"(https?:)?//", value), f"<{element.tag} {name}={value}> leads outside")
            expect(name not in ("src", "href") and not name.startswith("on"),
                   f"<{element.tag}> has the attribute {name}")
    styles = "".join(element.text or "" for element in page.iter("style"))
    expect("url(" not in styles and "@import" not in styles, "the style sheet fetches something")
    expect("prefers-color-scheme: dark" in styles, "the page has no colours for dark")
    expect(page.find(".//pre").text == code, "the page recommends something else than the text")

    for chart in ("cost", "latency", "window", "workers", "capacity", "arrivals"):
        figure = page.find(f".//figure[@id='chart-{chart}']")
        if figure is None:
            failures.append(f"the page has no chart of {chart}")
            continue
        labels = [text.text for text in figure.iter("text") if text.get("class") == "label"]
        expect(len(labels) == 2 and all(labels), f"the axes of {chart} are not labelled: {labels}")
        marks = [mark for mark in figure.find("svg")
                 if mark.get("class", "").split(" ")[0] in
                 ("line", "dashes", "ring", *(f"d{i}" for i in range(8)))]
        expect(marks, f"the chart of {chart} is empty")
        for mark in marks:
            places = " ".join(mark.get(name, "") for name in ("points", "cx", "cy"))
            expect("nan" not in places and "inf" not in places, f"the chart of {chart} has {places}")


def check_code(code, folder):
    source = Path(folder, "recommended.cpp")
    source.write_text(
        "#include <microbatch/microbatch.hpp>\n#include <chrono>\n#include <span>\n"
        "struct Item { int value; };\n"
        "void callback(std::span<const Item> items);\n"
        "int main() {\n" + code + "\n}\n")
    result = subprocess.run([*compiler, "-fsyntax-only", str(source)], capture_output=True, text=True)
    expect(result.returncode == 0, "the recommended code does not compile:\n" + result.stderr)


def check_refusals():
    for options, words in [
        (["--rate", "fast"], ["--rate", "fast"]),
        (["--rate"], ["--rate", "value"]),
        (["--producers", "0"], ["--producers", "from 1 to"]),
        (["--arrivals", "tidal"], ["poisson", "tidal"]),
        (["--windows", "10,,20"], ["--windows"]),
        (["--windows", "1000", "--capacities", "10"], ["--capacities", "1000"]),
        (["--target-ms", "5", "--callback-us", "6000"], ["--target-ms", "6"]),
        (["--rate", "1e6", "--per-item-us", "1000"], ["workers", "256"]),
        (["--trace", "/nowhere/trace"], ["--trace", "/nowhere/trace"]),
        (["--page", "/nowhere/page"], ["--page", "/nowhere/page"]),
        (["--tragte-ms", "5"], ["--tragte-ms"]),
        (["5"], ["5"]),
    ]:
        result = run("--page", "refused.html", *options)
        expect(result.returncode == 2, f"{options} ended with {result.returncode}")
        for word in words:
            expect(word in result.stderr, f"{options}: `{word}` is not in: {result.stderr}")


easy_target = "500"  # milliseconds; one that a busy machine meets, too: speed is not tested here


def check_trace(folder):
    trace = Path(folder, "trace.txt")
    trace.write_text("# seconds\n" + "".join(f"{100 + i / 1000}\n" for i in range(3000)))
    result = run("--trace", str(trace), "--target-ms", easy_target, "--windows", "16,64", "--workers", "1",
                 "--seconds", "1", "--page", str(Path(folder, "trace.html")))
    expect(result.returncode == 0, f"a recorded trace: {result.stdout}{result.stderr}")
    expect("1,000 items/s" in result.stdout, "the rate of the trace is not told")
    trace.write_text("1\n2\n1.5\n")
    result = run("--trace", str(trace))
    expect(result.returncode == 2 and "trace.txt:3" in result.stderr,
           f"a trace that goes back: {result.stderr}")
    trace.write_text("1\nsoon\n")
    result = run("--trace", str(trace))
    expect(result.returncode == 2 and "trace.txt:2" in result.stderr and "soon" in result.stderr,
           f"a trace with a word in it: {result.stderr}")


with tempfile.TemporaryDirectory() as folder:
    page = Path(folder, "tune.html")
    result = run("--rate", "20000", "--callback-us", "200", "--target-ms", easy_target, "--windows",
                 "64,512,2048", "--ages-ms", "10,20,50", "--workers", "1,2", "--seconds", "1",
                 "--page", str(page))
    expect(result.returncode == 0, f"it ended with {result.returncode}: {result.stdout}{result.stderr}")
    expect("seed 1" in result.stderr, "the seed is not told")
    recommended = re.search(r"Recommended:\n\n((?:    .*\n)+)\n(Live, on arrivals that it had not seen.*)",
                            result.stdout)
    if recommended is None:
        failures.append("no recommendation and verdict in:\n" + result.stdout)
    else:
        code = re.sub(r"^    ", "", recommended[1].rstrip("\n"), flags=re.MULTILINE)
        check_page(page, code)
        check_code(code, folder)
    check_refusals()
    check_trace(folder)

print("\n".join(failures) or "bench_tune: all is well")
sys.exit(1 if failures else 0)
