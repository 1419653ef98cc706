#!/usr/bin/env python3
"""Builds the documentation site from README.md and docs/, with a reference by Doxygen, and checks every link of it.

    docs/site/build.py [FOLDER]     into FOLDER, build/site unless told otherwise; open FOLDER/index.html

Needs pandoc and, for the reference, doxygen (Debian: pandoc doxygen). Pages and sources are what git knows, so a page that is
put into docs/ is on the site; one that no page of the navigation names is listed behind them.
"""
import html
import os
import posixpath
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HERE = os.path.dirname(os.path.abspath(__file__))
NAVIGATION = {
    "Begin": ["README.md", "docs/quick-start.md", "docs/installing.md", "docs/how-to.md", "docs/faq.md"],
    "Understand": ["docs/concepts.md", "docs/delivery-guarantees.md", "docs/durable.md"],
    "Connect": ["docs/files.md", "docs/kafka.md", "docs/mqtt.md", "docs/mongodb.md", "docs/scaling.md"],
    "Run": ["docs/operating.md", "docs/tuning.md", "docs/SECURITY.md"],
    "Compare": ["docs/performance.md", "docs/comparison.md", "docs/from-minibatch.md"],
    "Look inside": ["docs/memory-model.md", "docs/testing.md", "docs/decisions/README.md", "docs/CONTRIBUTING.md", "CHANGELOG.md"],
}
LANGUAGES = {".hpp": "cpp", ".cpp": "cpp", ".sh": "bash", ".py": "python", ".cmake": "cmake", ".yml": "yaml", ".json": "json"}


def fail(text):
    sys.exit(f"site: {text}")


def run(*command, **options):
    return subprocess.run(command, check=True, cwd=ROOT, text=True, capture_output=True, **options).stdout


class Site:
    def __init__(self, out):
        self.out = out
        self.files = set(run("git", "ls-files", "--cached", "--others", "--exclude-standard").split())
        self.pages = [f for f in sorted(self.files) if re.fullmatch(r"(README|CHANGELOG|docs/(?!site/).*)\.md", f)]
        self.sources = set()  # those that a page links to
        self.titles = {page: self.title(page) for page in self.pages}
        self.with_reference = shutil.which("doxygen") is not None

    @staticmethod
    def title(page):
        if page == "README.md":
            return "microbatch"
        with open(os.path.join(ROOT, page), encoding="utf-8") as file:
            return next(line for line in file if line.startswith("# "))[2:].strip()

    def address(self, file):
        """Where a file of the repository is on the site."""
        if file == "README.md":
            return "index.html"
        if file in self.pages:
            return re.sub(r"README$", "index", re.sub(r"^docs/", "", file)[:-3]) + ".html"
        if file.endswith(".svg"):
            return re.sub(r"^docs/", "", file)
        return f"source/{file}.html"

    def target(self, page, link):
        """A link of a page's, as one of the site's."""
        if re.match(r"(https?|mailto):", link):
            return link
        file, _, anchor = link.partition("#")
        file = posixpath.normpath(posixpath.join(posixpath.dirname(page), file)) if file else page
        if file not in self.files:  # a folder: its README, or a list of what is in it
            if f"{file}/README.md" in self.files:
                file += "/README.md"
            elif not any(f.startswith(file + "/") for f in self.files):
                fail(f"{page}: the link {link} leads nowhere")
        if file not in self.pages and not file.endswith(".svg"):
            self.sources.add(file)
        there = posixpath.relpath(self.address(file), posixpath.dirname(self.address(page)) or ".")
        return there + (f"#{anchor}" if anchor else "")

    def navigation(self, address, here):
        groups = {name: [page for page in pages if page in self.pages] for name, pages in NAVIGATION.items()}
        named = {page for pages in groups.values() for page in pages}
        groups["Look inside"] += [p for p in self.pages if p not in named and "/decisions/" not in p]

        def item(to, title):
            mark = ' aria-current="page"' if to == address else ""
            return f'<li><a href="{posixpath.relpath(to, here or ".")}"{mark}>{html.escape(title)}</a></li>'

        text = ""
        for name, pages in groups.items():
            items = [item(self.address(page), "Overview" if page == "README.md" else self.titles[page]) for page in pages]
            if name == "Look inside" and self.with_reference:
                items.insert(0, item("reference/index.html", "Reference"))
            text += f"<h2>{name}</h2><ul>{''.join(items)}</ul>"
        return text

    def write(self, address, title, body):
        here = posixpath.dirname(address)
        with open(os.path.join(HERE, "page.html"), encoding="utf-8") as file:
            page = file.read()
        for key, value in {
            "title": html.escape(title if title == "microbatch" else f"{title} - microbatch"),
            "style": posixpath.relpath("style.css", here or "."),
            "home": posixpath.relpath("index.html", here or "."),
            "navigation": self.navigation(address, here),
            "body": body,
        }.items():
            page = page.replace(f"${key}$", value)
        path = os.path.join(self.out, address)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(page)

    def write_page(self, page):
        body = run("pandoc", "--from=gfm", "--to=html5", "--wrap=none", page)
        body = re.sub(r'(href|src)="([^"]+)"',
                      lambda m: f'{m[1]}="{html.escape(self.target(page, html.unescape(m[2])))}"', body)
        body = re.sub(r"<table.*?</table>", r'<div class="wide">\g<0></div>', body, flags=re.S)
        self.write(self.address(page), self.titles[page], body)

    def write_source(self, file):
        title = f"<h1><code>{html.escape(file)}</code></h1>"
        inside = sorted(f for f in self.files if f.startswith(file + "/"))
        if inside:
            self.sources.update(inside)
            links = (f'<li><a href="{html.escape(self.target("README.md", f).removeprefix("source/"))}">{html.escape(f)}</a></li>'
                     for f in inside)
            here = posixpath.dirname(self.address(file)).removeprefix("source").strip("/")
            links = [re.sub(r'href="([^"]*)"', lambda m: f'href="{posixpath.relpath(m[1], here or ".")}"', x) for x in links]
            return self.write(self.address(file), file, f"{title}<ul>{''.join(links)}</ul>")
        with open(os.path.join(ROOT, file), encoding="utf-8", errors="replace") as text:
            code = text.read()
        language = LANGUAGES.get(os.path.splitext(file)[1], "text")
        fence = "`" * 12
        body = run("pandoc", "--from=markdown", "--to=html5", input=f"{fence}{language}\n{code}\n{fence}\n")
        return self.write(self.address(file), file, title + body)

    def write_reference(self):
        version = re.findall(r"#define MICROBATCH_VERSION_[A-Z]+ (\d+)",
                             open(os.path.join(ROOT, "include/microbatch/version.hpp"), encoding="utf-8").read())
        with open(os.path.join(HERE, "Doxyfile"), encoding="utf-8") as file:
            config = file.read()
        config += f'PROJECT_NUMBER = {".".join(version)}\nOUTPUT_DIRECTORY = "{self.out}"\n'
        run("doxygen", "-", input=config)

    def build(self):
        shutil.rmtree(self.out, ignore_errors=True)
        os.makedirs(self.out)
        shutil.copy(os.path.join(HERE, "style.css"), self.out)
        for file in self.files:
            if re.fullmatch(r"docs/.*\.svg", file):
                path = os.path.join(self.out, self.address(file))
                os.makedirs(os.path.dirname(path), exist_ok=True)
                shutil.copy(os.path.join(ROOT, file), path)
        for page in self.pages:
            self.write_page(page)
        written = set()
        while self.sources - written:  # a folder's list links to its files
            for file in self.sources - written:
                self.write_source(file)
                written.add(file)
        if self.with_reference:
            self.write_reference()
        else:
            print("site: without the reference, because doxygen is not installed")

    def check(self):
        """Every link leads to a file that is there, every anchor to an element of it. Doxygen's own pages check themselves."""
        texts, links, broken = {}, 0, []

        def text(path):
            if path not in texts:
                with open(path, encoding="utf-8", errors="replace") as file:
                    texts[path] = file.read()
            return texts[path]

        for folder, folders, names in os.walk(self.out):
            if folder == self.out and "reference" in folders:
                folders.remove("reference")
            for name in names:
                path = os.path.join(folder, name)
                if not name.endswith(".html"):
                    continue
                for link in re.findall(r'(?:href|src)="([^"]+)"', text(path)):
                    link = html.unescape(link)
                    if re.match(r"(https?|mailto):", link):
                        continue
                    links += 1
                    file, _, anchor = link.partition("#")
                    there = os.path.normpath(os.path.join(folder, file)) if file else path
                    if not os.path.isfile(there):
                        broken.append(f"{os.path.relpath(path, self.out)}: {link}: there is no such page")
                    elif anchor and f'id="{anchor}"' not in text(there):
                        broken.append(f"{os.path.relpath(path, self.out)}: {link}: there is no such anchor")
        print(f"site: {len(self.pages)} pages, {len(self.sources)} sources, {links} links, {len(broken)} broken")
        if broken:
            fail("\n" + "\n".join(broken))


def main():
    if shutil.which("pandoc") is None:
        fail("pandoc is not installed (Debian: pandoc)")
    site = Site(os.path.abspath(sys.argv[1]) if len(sys.argv) > 1 else os.path.join(ROOT, "build", "site"))
    site.build()
    site.check()
    print(f"site: {os.path.join(site.out, 'index.html')}")


if __name__ == "__main__":
    main()
