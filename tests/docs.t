#!/usr/bin/python3
"""The documents say what is so: their examples run, their lists are complete, and nothing in them is made up.

Marks in README.md and scripts/README.md, which a reader of the page does not see, tell how an example is run:

    <!-- file NAME -->   the block that follows is a file of that name: a probe, or a conversation, which must pass
    <!-- wrong NAME -->  a conversation that must not
    <!-- program NAME -->  a Lua block that is a program
    <!-- status N -->    the command in the text block that follows ends with this status
    <!-- server          the command in the text block that follows meets this server: a transcript as in
    S: hello             conversations/fake.py, or the name of one of TRANSCRIPTS. "--- SERVICE" begins the part of a
    -->                  service where there are several, or another connection to the same one
    <!-- shell           the same for a session of -i, whose input are the lines behind "> "

A Lua block without a mark is part of a probe's function, and must compile. A text block that begins with "$ scan" is
run beside the files so far, and must give what follows; "..." stands for any lines. A JSON block is the record of that
run.
"""

import copy
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "tests/conversations"))
import fake  # noqa: E402  (the servers)

SCAN = os.path.abspath(os.environ.get("SCAN", TOP / "scan"))
GUIDE, FRONT, MANUAL = "scripts/README.md", "README.md", "src/scan.1"

# A host as the README shows it.
TRANSCRIPTS = {"mail.example": """
    --- ssh
    S: SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3
    --- smtp
    S: 220 mail.example ESMTP Postfix (Debian)
    C: EHLO [127.0.0.1]
    S: 250-mail.example
    S: 250 STARTTLS
    C: STARTTLS
    S: 220 ready
    TLS
    C: QUIT
    S: 221 bye
    --- imap
    S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready.
    C: a2 LOGOUT
    S: * BYE
    S: a2 OK
    --- http
    C: HEAD / HTTP/1.1
    C: Host: 127.0.0.1:{port}
    C: User-Agent: scan
    C: Accept: */*
    C: Connection: close
    C:
    S: HTTP/1.1 200 OK
    S: Server: nginx/1.22.1
    S:
    --- https
    HELLO
    S: HTTP/1.1 400 Bad Request
    CLOSE
    """}


def read(path):
    return (TOP / path).read_text(encoding="utf-8")


def scan(*words, **more):
    return subprocess.run([SCAN, *words], input=more.pop("input", ""), capture_output=True, text=True, timeout=60,
                          check=False, env={**fake.ENVIRONMENT, "SCAN_SCRIPTS": ""}, **more)


# --- examples --------------------------------------------------------------------------------------------------------

def blocks(path):
    """The fenced blocks of a document: line, language, text, and the mark before it."""
    pattern = re.compile(r"^<!--\s*(.*?)\s*-->$|^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    mark, text = "", read(path)
    for found in pattern.finditer(text):
        if found.group(2) is None:
            mark = found.group(1)
        else:
            yield text.count("\n", 0, found.start()) + 1, found.group(2), found.group(3), mark
            mark = ""


def parts(transcript, services):
    """What is said in each connection: pairs of service and lines."""
    talks = []
    for line in fake.lines(transcript):
        if line.startswith("--- "):
            talks.append((line[4:], []))
        else:
            if not talks:
                talks.append((services[0], []))
            talks[-1][1].append(line if line[2:] else line + " ")
    return talks or [(services[0], [])]


class Host:
    """Servers for some services of 127.0.0.1, closed ports for the others."""

    def __init__(self, services, transcript):
        self.talks, self.ports, self.closed, self.servers = parts(transcript, services), {}, [], {}
        for service in services:
            if service in dict(self.talks):
                self.servers[service] = fake.Server({"host": "127.0.0.1"}, False)
                self.ports[service] = self.servers[service].port
            else:
                self.closed.append(socket.socket())
                self.closed[-1].bind(("127.0.0.1", 0))
                self.ports[service] = self.closed[-1].getsockname()[1]

    def meet(self, run):
        """Run it while the servers play; gives its result and the complaints."""
        with ThreadPoolExecutor(2 * len(self.talks)) as stage:
            playing = [stage.submit(self.receive, stage, service) for service in self.servers]
            result = run()
            return result, [wrong for play in playing for wrong in play.result()]

    def receive(self, stage, service):
        server, playing = self.servers[service], []
        with server.listener:
            for talk in (talk for name, talk in self.talks if name == service):
                actor = copy.copy(server)
                actor.what = {"talk": talk}
                try:
                    playing.append(stage.submit(self.play, actor, server.listener.accept()[0]))
                except TimeoutError:
                    return [f"{service}: nobody came"]
            return [f"{service}: {wrong}" for wrong in (play.result() for play in playing) if wrong]

    @staticmethod
    def play(actor, sock):
        with sock:
            try:
                actor.play(fake.Stream(sock, False))
            except (fake.Wrong, OSError) as wrong:
                return str(wrong)
        return None


def run_example(command, transcript, folder):
    """Run a documented command, `scan ... -s LIST ... TARGET` if there is somebody to talk to; what is printed has the
    documented target again."""
    words = shlex.split(command)[1:]
    if transcript is None:
        done = scan(*words, cwd=folder)
        return done, done.stdout + done.stderr, [], {}
    target, place = words.pop(), words.index("-s")
    services = words[place + 1].split(",")
    del words[place:place + 2]
    host = Host(services, TRANSCRIPTS.get(transcript, transcript))
    chosen = ",".join(f"{service}={port}" for service, port in host.ports.items())
    done, faults = host.meet(lambda: scan(*words, "-s", chosen, "127.0.0.1", cwd=folder))
    return done, (done.stdout + done.stderr).replace("127.0.0.1", target), faults, host.ports


def give_ports_back(printed, ports, wanted):
    for service, port in ports.items():
        declared = re.search(rf"port (\d+) \({service}\)", wanted)
        if declared:
            printed = printed.replace(f"port {port}", f"port {declared.group(1)}")
    return printed


def fits(wanted, printed):
    """All but the times of a trace is as it should be."""
    pattern = "".join("(?s:.*)" if line == "..." else re.escape(line) + "\n" for line in wanted.splitlines())
    pattern = re.sub(r"^(\\ )+\d+\\\.\d\\ ", r" +\\d+\\.\\d ", pattern, flags=re.MULTILINE)
    return re.fullmatch(pattern, printed) is not None


def judge(wanted, printed):
    return [] if fits(wanted, printed) else ["expected:", wanted, "printed:", printed]


def see_text(text, mark, folder):
    command, wanted = text.split("\n", 1)
    transcript = mark[6:].strip() if mark.startswith("server") else None
    done, printed, faults, ports = run_example(command[2:], transcript, folder)
    printed = give_ports_back(printed, ports, wanted)
    right = int(mark[7:]) if mark.startswith("status ") else 4 if "scan: the probe of" in wanted else 0
    if done.returncode != right:
        faults.append(f"status {done.returncode}, not {right}")
    return faults + judge(wanted, printed)


def see_shell(text, transcript, folder):
    """A session of -i HOST:PORT: what is typed comes from a pipe, so that neither it nor the prompts are printed."""
    command, wanted = text.split("\n", 1)
    target, host = command.split()[-1], Host(["shell"], transcript)
    typed = "".join(line[2:] + "\n" for line in wanted.splitlines() if line.startswith("> "))
    place = f"127.0.0.1:{host.ports['shell']}"
    done, faults = host.meet(lambda: subprocess.run(
        [SCAN, "-i", place], input=typed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
        check=False, cwd=folder, env={**fake.ENVIRONMENT, "SCAN_SCRIPTS": ""}))
    wanted = "".join(line + "\n" for line in wanted.splitlines() if not line.startswith("> "))
    return faults + judge(wanted, re.sub(r" +[\d.]+ - closed\n$", "", done.stdout.replace(place, target)))


def see_record(text, command, transcript, folder):
    wanted = json.loads(text)
    _, printed, faults, _ = run_example(command.replace("scan", "scan --json", 1), transcript, folder)
    if not printed.startswith("{"):
        return faults + ["no record:", printed]
    seen = {**json.loads(printed), "ms": wanted["ms"], "port": wanted["port"]}
    if wanted["tls"] and seen["tls"]:
        seen["tls"] = {key: seen["tls"].get(key) for key in wanted["tls"]}
    return faults if seen == wanted else faults + ["expected:", json.dumps(wanted), "seen:", json.dumps(seen)]


def see_json(text):
    try:
        return [] if json.loads(text) else ["it is empty"]
    except ValueError as error:
        return [str(error)]


def see_lua(text, mark, folder):
    name = mark.split()[1] if mark else "fragment.lua"
    if not mark:
        text = ('return { about = "", services = { { name = "fragment" } },\nprobe = function(conn, report, args)\n'
                + text + "end }\n")
    path = Path(folder, name)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    if path.name == "groups.lua" or mark.startswith("program "):
        return []
    done = scan("-S", name, "--list", cwd=folder)
    return done.stderr.splitlines()


def see_conversations(marks, folder):
    """Those of the document, when all that they need is there."""
    for mark in marks:
        done = scan("--replay", mark.split()[1], cwd=folder)
        yield f"{GUIDE} {mark}", done.stdout.splitlines() if done.returncode != mark.startswith("wrong ") else []


def examples(path):
    """All blocks of a document; gives a name and the complaints for each that is run."""
    command, transcript, conversations = None, None, []
    with tempfile.TemporaryDirectory(prefix="scan-docs-") as folder:
        for line, language, text, mark in blocks(path):
            name = f"{path}:{line}"
            if language == "lua":
                yield f"{name} {mark or 'fragment'}", see_lua(text, mark, folder)
            elif language == "sh" and path == GUIDE:
                done = subprocess.run(["sh", "-ec", text], cwd=folder, capture_output=True, text=True, check=False, timeout=60,
                                      env={**os.environ, "PATH": f"{Path(SCAN).parent}:{os.environ['PATH']}"})
                yield f"{name} {text.strip()}", [done.stderr] if done.returncode or done.stderr else []
            elif language == "json" and mark.startswith("file "):
                yield f"{name} {mark}", see_json(text)
            elif language == "conversation":
                Path(folder, mark.split()[1]).write_text(text, encoding="utf-8")
                conversations.append(mark)
            elif mark.startswith("shell"):
                yield f"{name} the shell", see_shell(text, mark[5:], folder)
            elif language == "text" and text.startswith("$ scan"):
                command = text[2:].split("\n")[0]
                transcript = mark[6:].strip() if mark.startswith("server") else None
                yield f"{name} {command}", see_text(text, mark, folder)
            elif language == "json":
                yield f"{name} the record of {command}", see_record(text, command, transcript, folder)
        yield from see_conversations(conversations, folder)


# --- lists -----------------------------------------------------------------------------------------------------------

def differ(what, documented, real):
    return ([f"{what} {name} is not documented" for name in sorted(real - documented)]
            + [f"{what} {name} is documented, but there is none" for name in sorted(documented - real)])


def code_files(folder, ending):
    paths = sorted((TOP / folder).rglob("*" + ending))
    return {str(path.relative_to(TOP)): path.read_text(encoding="utf-8") for path in paths}


def section(path, title):
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", read(path), re.MULTILINE | re.DOTALL)
    return found.group(1) if found else ""


def rows(text):
    """What stands in backquotes in the first cell of each row of the tables."""
    return {name for line in text.splitlines() if line.startswith("| `")
            for name in re.findall(r"`([^`]+)`", line.split("|")[1])}


HELP = scan("--help").stdout


def options_of_help():
    return set(re.findall(r"^  (?:-\w, |    )(--[a-z0-9-]+)", HELP, re.MULTILINE))


def letters_of_help():
    return set(re.findall(r"^  (-\w), --", HELP, re.MULTILINE))


def table_of_options():
    table = re.search(r"struct option table\[\] = \{\n(.*?)\n\};", read("src/options.c"), re.DOTALL).group(1)
    return re.findall(r'\{ "([a-z0-9-]+)", (?:\'(\w)\'|0)', table)


def options_are_in_help():
    table = table_of_options()
    return (differ("option", options_of_help(), {"--" + name for name, _ in table})
            + differ("option", letters_of_help(), {"-" + letter for _, letter in table if letter}))


def options_are_in_manual():
    manual = {item.replace("\\", "").replace("Fl ", "-").replace(" ", "").split("Ar")[0].split("Op")[0]
              for line in re.findall(r"^\.It (Fl .*)$", read(MANUAL), re.MULTILINE) for item in line.split(" , ")}
    return differ("option", manual, options_of_help() | letters_of_help())


def front_names_no_other_option():
    """What the README says of our own options is so; those of make and others stand in other blocks."""
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z0-9-]+)", read(FRONT)))
    return [f"{name} in {FRONT} is no option" for name in sorted(named - options_of_help())]


def commands():
    """The commands of the README's and the manual's examples."""
    for _, language, text, _ in blocks(FRONT):
        for line in text.splitlines() if language == "sh" else []:
            yield FRONT, line
    for line in re.findall(r"^\.Dl \$ (.*)$", read(MANUAL), re.MULTILINE):
        yield MANUAL, line.replace("\\(aq", "'")


def words_of_scan(command):
    """What scan is called with in a line for the shell, or None if it is not."""
    tokens = shlex.shlex(command, posix=True, punctuation_chars="|<>;&")
    tokens.whitespace_split = True
    words = None
    for token in tokens:
        if words is None and token == "scan":
            words = []
        elif words is not None and token[0] in "|<>;&":
            break
        elif words is not None:
            words.append(token)
    return words


OFFLINE = {"--list", "--describe", "--schema", "--help", "--version"}


def commands_are_right():
    """Run where they need no network; else no more than read, for what stands before --help must be right."""
    for where, command in commands():
        words = words_of_scan(command)
        if words is None:
            continue
        done = scan(*words) if OFFLINE.intersection(words) else scan(*words, "--help")
        if done.returncode or done.stderr:
            yield f"{where}: {command}: status {done.returncode}, {done.stderr.strip()}"


def statuses_of_main():
    text = re.search(r"enum status \{(.*?)\}", read("src/main.c"), re.DOTALL).group(1)
    numbers = {int(number) for number in re.findall(r"= (\d+)", text)}
    return {str(number) for number in numbers - {128}} | {"130", "143"}


def numbers(pattern, text):
    """The numbers in what the pattern finds, at most one group a match."""
    return set(re.findall(r"\d+", " ".join(re.findall(pattern, text, re.MULTILINE))))


def statuses_are_right():
    manual = read(MANUAL).split(".Sh EXIT STATUS")[1].split(".Sh")[0]
    shown = {
        "--help": numbers(r"^  ([\d, ]+)  ", HELP.split("Exit status")[1]),
        FRONT: numbers(r"^\| ([\d, ]+) \|", section(FRONT, "Exit status")),
        MANUAL: numbers(r"^\.It ([\d ,]+)$", manual),
    }
    real = statuses_of_main()
    return [f"{where}: {line}" for where, found in shown.items() for line in differ("status", found, real)]


def error_codes():
    sources = "\n".join(code_files("src", ".c").values())
    own = re.search(r"const char \*failure_code_of\(.*?^}", sources, re.MULTILINE | re.DOTALL).group()
    set_there = re.findall(r'\b(?:failure_(?:set|quote)|judge_broken)\([^;"]*"([a-z-]+)"', sources)
    return set(set_there) | set(re.findall(r'return "([a-z-]+)"', own))


def warning_codes():
    sources = code_files("src", ".c")
    calls = [call for text in sources.values() for call in re.findall(r"\breport_(?:warn|note)\(.*?;", text, re.DOTALL)]
    said = {code for call in calls for code in re.findall(r'"([a-z-]+)"', call)}
    for text in sources.values():  # by the name of a constant
        for name in re.findall(r"report_warn\([^,;]*, (\w+),", text):
            said.update(re.findall(rf'static const char\s+{name}\[\] = "([a-z-]+)"', text))
    scripts = "\n".join(code_files("scripts", ".lua").values())
    return said | set(re.findall(r'report\.warn\("([a-z-]+)"', scripts))


def codes_are_documented():
    errors = section(GUIDE, "Errors")
    named = rows(errors[errors.index("| code |"):])
    return (differ("error code", named, error_codes())
            + differ("warning code", rows(section(GUIDE, "Warnings")), warning_codes()))


def codes_are_in_schema():
    """Those of errors are a closed list; of warnings, probes may have their own."""
    schema = json.loads(scan("--schema").stdout)["properties"]
    listed = schema["warnings"]["items"]["properties"]["code"]["description"].split(";")[0]
    return (differ("error code", set(schema["error"]["properties"]["code"]["enum"]), error_codes())
            + differ("warning code", set(listed.split(", ")), warning_codes()))


def phases_are_documented():
    names = re.search(r"names\[\] = \{(.*?)\};", read("src/base/failure.c"), re.DOTALL).group(1)
    row = next(line for line in section(GUIDE, "Errors").splitlines() if line.startswith("| `phase`"))
    return differ("phase", set(re.findall(r"`(\w+)`", row)), set(re.findall(r'"(\w+)"', names)) - {"none"} | {"phase"})


def registered(path):
    return set(re.findall(r'\{ "(\w+)", \w+ \}', read(path)))


def named(title, pattern):
    """What the first cells of the tables of a section name."""
    return {name for cell in rows(section(GUIDE, title)) for name in re.findall(pattern, cell)}


def facts_of_conn():
    return set(re.findall(r'"(\w+)"', re.search(r"facts\[\] = \{(.*?)\}", read("src/script/conn_api.c"), re.DOTALL)[1]))


def api_is_documented():
    return (differ("conn:", named("conn", r"^conn:(\w+)\("), registered("src/script/conn_api.c"))
            + differ("conn.", named("conn", r"^conn\.(\w+)$"), facts_of_conn())
            + differ("scan.", named("scan", r"^scan\.(\w+)\(") | named("By hand", r"^scan\.(\w+)\("), registered("src/script/scan_api.c")))


# --- the reference: the tables of the guide, the shell's :help and --types are one ------------------------------------

TYPES = scan("--types").stdout

# How the guide and :help write the members of the classes of --types.
FORMS = {"scan.conn": "conn.", "scan.report": "report.", "scan.listener": "listener.", "scan.task": "task.", "scan": "scan.",
         "scan.service": "services[i].", "scan.argument": "args[name].", "scan.probe": "", "scan.error": ""}
REFERENCE = ["The table", "conn", "report", "scan", "By hand", "Errors"]


def typed_fields():
    """The fields of the classes of --types: {class: {name: type}}."""
    return {found.group(1): dict(re.findall(r"^---@field (\w+)\?? (\S.*?)(?: #.*)?$", found.group(2), re.MULTILINE))
            for found in re.finditer(r"^---@class (\S+)\n((?:---@.*\n)*)", TYPES, re.MULTILINE)}


def typed_forms():
    """What stands in --types, as the guide writes it up to the first bracket."""
    forms = {FORMS[name] + field for name, fields in typed_fields().items() if name in FORMS for field in fields}
    return forms | set(re.findall(r"^function ([\w.:]+)\(", TYPES, re.MULTILINE)) | {"report"}


def reference_rows():
    """Form and text of the rows of the guide's reference, without links."""
    for title in REFERENCE:
        text = section(GUIDE, title).split("| code | phases")[0]
        for form, about in re.findall(r"^\| `([^`]+)` \| (.*) \|$", text, re.MULTILINE):
            yield form, re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", about)


def helped(names):
    """What :help says of each: form and text."""
    done = scan("-i", input="".join(f":help {name}\n" for name in names))
    return list(zip(done.stdout.splitlines()[::2], (line.strip() for line in done.stdout.splitlines()[1::2])))


def reference_is_one():
    """A row of the guide is an entry of :help, word for word, and each has its type; nothing is left out."""
    known = {re.split(r"[( ]", form)[0]: (form, about) for form, about in reference_rows()}
    own = {"scan.connect": ("scan.connect(port [, options])", "Another connection to the same address. `{ tls = true }` makes the handshake too.")}
    told = helped(known)
    return (differ("in --types:", typed_forms(), set(known))
            + [f"{row} is {help} in :help" for row, help in zip(known.values(), told) if row != help]
            + [f"{form} has two rows" for form, about in reference_rows()
               if known[re.split(r"[( ]", form)[0]] != (form, about) and (form, about) not in own.values()])


FAILING = """local l = scan.listen() local port = l.port l:close()
    for key in pairs(select(2, pcall(scan.connect, "127.0.0.1", port))) do print(key) end"""


def types_are_what_there_is():
    """Every name that C registers has its type, and no other has one."""
    fields, functions = typed_fields(), re.findall(r"^function (\w+)[.:](\w+)\(", TYPES, re.MULTILINE)

    def of(table):
        return {name for owner, name in functions if owner == table}

    facts = json.loads(scan("--schema").stdout)["properties"]["tls"]["properties"]
    serve, load = read("src/script/serve_api.c"), read("src/script/declare.c")
    known = {name for names in re.findall(r"known\[\] = \{(.*?)NULL\s*\};", load, re.DOTALL) for name in re.findall(r'"(\w+)"', names)}
    return (differ("conn:", of("conn"), registered("src/script/conn_api.c"))
            + differ("conn.", set(fields["scan.conn"]), facts_of_conn())
            + differ("scan.", of("scan"), set(scan("-e", "for k in pairs(scan) do print(k) end").stdout.split()))
            + differ("listener:", of("listener"), registered("src/script/serve_api.c"))
            + differ("listener.", set(fields["scan.listener"]), set(re.findall(r'"(\w+)"', re.search(r"facts\[\] = \{(.*?)\}", serve).group(1))))
            + differ("task:", of("task"), registered("src/script/spawn_api.c"))
            + differ("a field", {name for kind in ("probe", "service", "argument") for name in fields["scan." + kind]}, known)
            + differ("error.", set(fields["scan.error"]) - {"partial"}, set(scan("-e", FAILING).stdout.split()))
            + differ("conn.tls.", set(fields["scan.tls"]), {name for name in facts if not name.endswith("_base64")}))


def types_are_lua():
    """The file compiles, names its parameters as they are, and is no probe where a probe's folder has it below."""
    with tempfile.TemporaryDirectory(prefix="scan-docs-") as folder:
        Path(folder, "types").mkdir()
        Path(folder, "types/scan.lua").write_text(TYPES, encoding="utf-8")
        done = scan("--run", "types/scan.lua", cwd=folder)
        listed = scan("-S", ".", "--list", cwd=folder)
    faults = [line for line in (done.stderr + listed.stderr).splitlines() if line]
    for annotations, parameters in re.findall(r"^((?:---@.*\n)+)function [\w.:]+\((.*)\) end$", TYPES, re.MULTILINE):
        names = re.findall(r"^---@param (\S+?)\?? ", annotations, re.MULTILINE)
        if names != [name for name in parameters.split(", ") if name]:
            faults.append(f"({parameters}) is annotated as {names}")
    return faults


def conversations_are_documented():
    """All that may stand in a conversation, as the readers of such files know it."""
    text, source = section(GUIDE, "A conversation as a file"), read("src/workbench/conversation.c")
    tables = [rows(table) for table in re.split(r"^\| (?:head|line|mark) \|", text, flags=re.MULTILINE)[1:]]
    heads, said, reported, marks = ({re.split(r"[ :}]", form.strip("{"))[0] if "{" in form or ": " in form and form[0].islower()
                                     else form[:2] for form in table} for table in tables)
    real_marks = set(re.findall(r'"(\w+)"', re.search(r"names\[\] = \{(.*?)\};", read("src/workbench/phrase.c"), re.DOTALL).group(1)))
    real_lines = set(re.search(r'a line begins with ((?:[SCTR]\S )+)or with', source).group(1).split())
    return (differ("head", heads, set(re.findall(r'strcmp\(name, "([\w-]+)"\)', source)))
            + differ("line", {line for line in said | reported if not line[1].isdigit()}, real_lines)
            + differ("mark", marks, real_marks))


def commands_are_documented():
    table = re.search(r"\} commands\[\] = \{(.*?)\n\};", read("src/workbench/shell.c"), re.DOTALL).group(1)
    return differ("command", {form[1:].split()[0] for form in rows(section(GUIDE, "The shell"))}, set(re.findall(r'\{ "(\w+)"', table)))


def table_is_documented():
    known = re.findall(r"known\[\] = \{(.*?)NULL\s*\};", read("src/script/declare.c"), re.DOTALL)
    real = {name for names in known for name in re.findall(r'"(\w+)"', names)}
    return differ("field", {re.split(r"[.\]]", name)[-1] for name in rows(section(GUIDE, "The table"))}, real)


def sandbox_is_documented():
    source, first = read("src/script/sandbox.c"), section(GUIDE, "The sandbox").split("\n- ")[1]
    real = set(re.findall(r'"(\w+)"', re.search(r"globals\[\] = \{(.*?)\};", source, re.DOTALL).group(1)))
    real |= {name.lower() for name in re.findall(r"LUA_(STR|TAB|MATH|UTF8)LIBNAME", source)} - {"str", "tab"}
    real |= {"string", "table"}
    for function in ("share", "push_environment"):
        body = re.search(rf"^static void {function}\(.*?^}}", source, re.MULTILINE | re.DOTALL).group()
        real |= set(re.findall(r'lua_setfield\(L, -2, "(\w+)"\);', body))
    return differ("global", set(re.findall(r"`(\w+)`", first)), real)


def libraries_are_documented():
    real = set()
    for path, text in code_files("scripts/lib", ".lua").items():
        real |= set(re.findall(r"^function (\w+\.\w+)\(", text, re.MULTILINE))
        if re.search(r"^return function\(", text, re.MULTILINE):
            real.add(Path(path).stem)
    documented = re.findall(r"^\|[^|]*\| `([\w.]+)\(", section(GUIDE, "Libraries"), re.MULTILINE)
    return differ("function", set(documented), real)


def records_are_documented():
    text, real = section(GUIDE, "What the probes of this folder record"), set()
    for source in code_files("scripts", ".lua").values():
        real |= set(re.findall(r'\breport\("(\w+)"', source))
        for fields in re.findall(r"^\s*fields = \{(.*?)\}", source, re.MULTILINE | re.DOTALL):
            real |= {name.split(".")[0] for name in re.findall(r'"([\w.]+)"', fields)}
    table = text.strip().split("\n\n")[0]
    probes = {name for line in re.findall(r"^\| ([a-z0-9, ]+) \|", table, re.MULTILINE) for name in line.split(", ")}
    listed = set(re.findall(r"^([a-z]\w+) ", scan("--list").stdout, re.MULTILINE))
    return ([f"data.{name} is not documented" for name in sorted(real) if f"`{name}`" not in text]
            + differ("probe", probes - {"probe"}, listed))


# Constants of the sources (or, with its path, of one file), and how the guide says them.
LIMITS = [
    ("CONN_LINE", "{:,} bytes"), ("CONN_RECEIVED", "{} KiB, plain"), ("CONN_SENT", "| {} KiB |"),
    ("SECRETS", "{} KiB of TLS records"), ("HANDSHAKE_BYTES", "{} KiB, certificates"),
    ("CHAIN_BYTES", "certificates {} KiB"), ("CERTIFICATES", "{} of them"), ("TASK_CONNS", "| {}, with the one"),
    ("VM_STEPS", "{:,} steps"), ("src/script/string_api.c:REPEATED", "`string.rep` makes {} MiB"),
    ("src/script/scan_api.c:ENCODED", "as hex or base64 | {} KiB;"), ("TABLE_ELEMENTS", "{:,} at a time"),
    ("VM_RESUME_TICKS", "{} ms without waiting"), ("VM_PROBE_TICKS", "{} ms in all"),
    ("VM_MEMORY", "{} MiB a script and thread"), ("VM_KEYS", "{:,} keys of a table"),
    ("CHUNK_FILE", "a script file | {} KiB"), ("CHUNK_LIBRARY", "a library {} KiB"),
    ("src/script/declare.c:LIST", "its lists {} elements"), ("src/script/report_api.c:NAME_BYTES", "names {} bytes"),
    ("VALUE_KEYS", "{} keys"), ("VALUE_DEPTH", "{} deep"), ("REPORT_BYTES", "{} KiB in the record"),
    ("REPORT_LINES", "{} KiB of text"), ("src/output/text.c:COLUMNS", "{} columns"),
    ("CERTIFICATE_NAMES", "names of a certificate | {} |"), ("RESOLVE_ADDRESSES", "| {}, 10 s"),
    ("RESOLVE_SECONDS", ", {} s |"), ("scripts/lib/reply.lua:LINES", "{} lines"),
]


def constant(name):
    path, _, name = name.rpartition(":")
    for text in [read(path)] if path else code_files("src", ".[ch]").values():
        found = re.search(rf"\b{name}(?:, \w+)? = ([\d *]+)", text)
        if found:
            return eval(found.group(1))  # digits and stars
    raise LookupError(name)


def limits_are_right():
    text = section(GUIDE, "Limits")
    for name, phrase in LIMITS:
        unit = {"KiB": 1024, "MiB": 1024 * 1024}.get("".join(re.findall(r"KiB|MiB", phrase)), 1)
        phrase = phrase.format(constant(name) // unit)
        if phrase not in text:
            yield f"{GUIDE} does not say {phrase!r}, which {name} is"


def folders_are_named():
    tests = {path.name for path in (TOP / "tests").iterdir() if path.is_dir() and not path.name.startswith(("_", "."))}
    return [f"tests/{name} is not in {FRONT}" for name in sorted(tests) if f"`{name}/`" not in read(FRONT)]


def links_lead_somewhere():
    for path in (FRONT, GUIDE):
        text = read(path)
        titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
        for link in re.findall(r"\]\(([^)\s]+)\)", text):
            if link.startswith("#") and link[1:] not in anchors:
                yield f"{path}: there is no heading for {link}"
            elif not link.startswith(("#", "http")) and not (TOP / path).parent.joinpath(link.split("#")[0]).exists():
                yield f"{path}: there is no {link}"


def tls_facts_are_documented():
    real = json.loads(scan("--schema").stdout)["properties"]["tls"]["properties"]
    row = next(line for line in section(GUIDE, "conn").splitlines() if line.startswith("| `conn.tls`"))
    return differ("conn.tls.", set(re.findall(r"`(\w+)`", row.split("facts:")[1])),
                  {name for name in real if not name.endswith("_base64")})


def schema_is_in_manual():
    schema = json.loads(scan("--schema").stdout)["properties"]
    real = set(schema) | set(schema["tls"]["properties"]) | set(schema["error"]["properties"])
    real |= set(schema["exchanges"]["items"]["properties"])
    fields = read(MANUAL).split(".Ss JSON lines")[1].split(".Sh")[0]
    return [complaint for complaint in differ("field", set(re.findall(r"\.(?:It )?Va (\w+)", fields)), real)
            if "_base64" not in complaint]


def variables_are_in_manual():
    real = {name for text in code_files("src", ".c").values() for name in re.findall(r'getenv\("(\w+)"\)', text)}
    text = read(MANUAL).split(".Sh ENVIRONMENT")[1].split("\n.Sh")[0]
    return [f"${name} is not in {MANUAL}" for name in sorted(real) if name not in text]


def manual_is_well_formed():
    done = subprocess.run(["mandoc", "-Tlint", "-Wstyle", TOP / MANUAL], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()


CHECKS = [
    ("every option is in --help", options_are_in_help),
    ("every option is in the manual", options_are_in_manual),
    ("the README names no option that is none", front_names_no_other_option),
    ("commands of README and manual are right", commands_are_right),
    ("exit statuses are those of main.c", statuses_are_right),
    ("codes of errors and warnings", codes_are_documented),
    ("codes of errors and warnings in the schema", codes_are_in_schema),
    ("phases of errors", phases_are_documented),
    ("conn and scan", api_is_documented),
    ("the guide, :help and --types say the same", reference_is_one),
    ("--types has what there is", types_are_what_there_is),
    ("--types is Lua, and no probe", types_are_lua),
    ("what may stand in a conversation", conversations_are_documented),
    ("the commands of the shell", commands_are_documented),
    ("facts of TLS", tls_facts_are_documented),
    ("the fields of a probe's table", table_is_documented),
    ("what is in the sandbox", sandbox_is_documented),
    ("functions of the libraries", libraries_are_documented),
    ("what the probes record", records_are_documented),
    ("limits", limits_are_right),
    ("fields of a record", schema_is_in_manual),
    ("environment variables", variables_are_in_manual),
    ("folders of tests", folders_are_named),
    ("links", links_lead_somewhere),
]


def results():
    for name, check in CHECKS:
        try:
            yield name, list(check())
        except (LookupError, AttributeError, ValueError) as error:  # what it looks into is not as it was
            yield name, [repr(error)]
    if shutil.which("mandoc"):
        yield "the manual is well-formed", manual_is_well_formed()
    for path in (FRONT, GUIDE):
        yield from examples(path)


def main():
    fake.make_certificate()
    count = failed = 0
    for count, (name, complaints) in enumerate(results(), 1):
        failed += bool(complaints)
        print(f"{'not ok' if complaints else 'ok'} {count} - {name}", flush=True)
        for complaint in complaints:
            for line in complaint.split("\n"):
                print(f"#   {line}")
    print(f"1..{count}")
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
