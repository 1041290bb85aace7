#!/usr/bin/python3
"""The house keeps its order: who may use whom, what stands in one place only, and the map that names every file."""

import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FLOORS = ["base", "net", "script", "scan", "output", "workbench", "main"]  # from the ground up
TOP_LEVEL = ["Makefile", "README.md", "scripts", "src", "tests", "vendor"]
MADE_THERE = ["scan"]  # by `make`, and ignored by git


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def files_below(folder):
    for path, folders, names in os.walk(os.path.join(TOP, folder)):
        folders.sort()
        for name in sorted(names):
            if not name.startswith("."):
                yield os.path.relpath(os.path.join(path, name), TOP)


def code_of(text):
    """The text without comments and without what stands between quotes, every line where it was."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)

    def blank(match):
        quoted = match.group()[0] in "\"'"
        return '""' if quoted else re.sub(r"[^\n]+", " ", match.group())

    return token.sub(blank, text)


SOURCES = {path: read(path) for path in files_below("src") if path.endswith((".c", ".h"))}
CODE = {path: code_of(text) for path, text in SOURCES.items()}


def floor_of(path):
    """src/net/loop.c is on the floor net, src/main.c and its neighbours on the floor main."""
    parts = path.split("/")
    return parts[1] if len(parts) > 2 else "main"


def includes():
    for path, text in SOURCES.items():
        for number, line in enumerate(text.splitlines(), 1):
            found = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
            if found:
                yield f"{path}:{number}", path, found.group(1) == '"', found.group(2)


def calls(*names):
    """Where these functions are called (or even only named), comments and strings apart."""
    wanted = re.compile(r"\b(%s)\b" % "|".join(names))
    return [
        f"{path}:{number} {word}"
        for path, code in CODE.items()
        for number, line in enumerate(code.splitlines(), 1)
        for word in wanted.findall(line)
    ]


def folders_are_floors():
    return [f"{path}: no such floor" for path in SOURCES if floor_of(path) not in FLOORS]


def includes_go_downward():
    for where, path, own, name in includes():
        target = "src/" + name
        if not own:
            continue
        if target not in SOURCES:
            yield f'{where}: "{name}" is no file of src (includes are written from there)'
        elif FLOORS.index(floor_of(target)) > FLOORS.index(floor_of(path)):
            yield f"{where}: {floor_of(path)} must not use {name}"


def headers_stay(pattern, *places):
    """System headers that fit the pattern are included below these paths only."""
    return [
        f"{where}: <{name}> belongs to {' and '.join(places)}"
        for where, path, own, name in includes()
        if not own and re.match(pattern, name) and not path.startswith(places)
    ]


def one_call(name):
    found = calls(name)
    return [] if len(found) == 1 else [f"{len(found)} of them:"] + found


def one_closing():
    """lua_closethread, or lua_resetthread where Lua is older: each once at most, and side by side."""
    closing, resetting = calls("lua_closethread"), calls("lua_resetthread")
    files = {where.split(":")[0] for where in closing + resetting}
    right = len(files) == 1 and len(closing) <= 1 and len(resetting) <= 1
    return [] if right else ["once, in one place:"] + closing + resetting


def map_of_readme():
    """What the README says of each folder of src: from a line that begins with its name to the next such line."""
    folder, said = None, {}
    for line in read("README.md").splitlines():
        found = re.match(r"[\s|*`-]*src/(?:(\w+)/)?", line)
        folder = (found.group(1) or "main") if found else folder
        if folder:
            said[folder] = said.get(folder, "") + line + "\n"
    return said


def readme_names_every_file():
    if not os.path.exists(os.path.join(TOP, "README.md")):
        return ["there is no README.md"]
    said = map_of_readme()
    stems = sorted({path.rsplit(".", 1)[0] for path in SOURCES})
    return [
        f"{stem} is not in the map of README.md"
        for stem in stems
        if not re.search(r"\b%s\b" % os.path.basename(stem), said.get(floor_of(stem + ".c"), ""))
    ]


def top_level_is_six():
    seen = {name for name in os.listdir(TOP) if not name.startswith(".") and name not in MADE_THERE}
    more = [f"{name} does not belong there" for name in sorted(seen - set(TOP_LEVEL))]
    return more + [f"{name} is missing" for name in TOP_LEVEL if name not in seen]


CHECKS = [
    ("each folder of src is a floor", folders_are_floors),
    ("includes go downward: " + " -> ".join(reversed(FLOORS)), includes_go_downward),
    ("lua_yieldk is called once", lambda: one_call("lua_yieldk")),
    ("lua_resume is called once", lambda: one_call("lua_resume")),
    ("a Lua thread is closed in one place", one_closing),
    ("OpenSSL is spoken in two files", lambda: headers_stay("openssl/", "src/net/tls.c", "src/net/certificate.c")),
    ("Lua is spoken on two floors", lambda: headers_stay(r"(lua|lauxlib).*\.h$", "src/script/", "src/workbench/")),
    ("README.md names every file of src", readme_names_every_file),
    ("the top level has six entries", top_level_is_six),
]

print(f"1..{len(CHECKS)}")
failed = 0
for number, (name, check) in enumerate(CHECKS, 1):
    complaints = list(check())
    failed += bool(complaints)
    print(("not ok" if complaints else "ok") + f" {number} - {name}")
    for complaint in complaints:
        print(f"# {complaint}")
sys.exit(1 if failed else 0)
