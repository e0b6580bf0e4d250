"""The one script that cron, systemd and the workflow start; and that these three are put together rightly."""

from __future__ import annotations

import ast
import configparser
import fcntl
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from rrsim.backends.live.wine import parts
from rrsim.doctor import boot, dialup, machines, wine
from rrsim.images.windows import tools
from rrsim.nightly.plan import PARTS

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / ".ci" / "nightly"
WORKFLOW = ROOT / ".github" / "workflows" / "nightly.yml"
UNITS = ROOT / "contrib" / "nightly"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose environment and make are pretend ones."""
    root = tmp_path / "check out"
    (root / ".ci").mkdir(parents=True)
    shutil.copy2(SCRIPT, root / ".ci" / "nightly")
    programs = root / ".venv" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    program(programs / "python", 'echo "played: $*"; exit "${PLAYED:-0}"')
    program(tmp_path / "bin" / "make", 'echo "made: $*"; exit "${MADE:-0}"')
    return root


def program(path: Path, script: str) -> None:
    """Write a shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def started(root: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Start the script from somewhere else, as cron does."""
    environment = {"PATH": f"{root.parent}/bin:/usr/bin:/bin", "HOME": "/nonexistent", **more}
    return subprocess.run(
        [root / ".ci" / "nightly", *words], cwd="/", env=environment, capture_output=True, text=True, timeout=60,
        check=False,
    )


def test_it_sets_up_and_plays(checkout: Path) -> None:
    done = started(checkout, "simulator", "--seeds", "3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "made: --no-print-directory .venv/dev.stamp", "played: -m rrsim.nightly simulator --seeds 3",
    ]


@pytest.mark.parametrize("code", ["0", "1", "2", "64", "70"])
def test_it_ends_as_the_night_does(code: str, checkout: Path) -> None:
    assert started(checkout, PLAYED=code).returncode == int(code)


def test_a_setup_that_fails_is_the_harness(checkout: Path) -> None:
    done = started(checkout, MADE="2")
    assert done.returncode == 70
    assert "played" not in done.stdout


def test_two_nights_do_not_overlap(checkout: Path) -> None:
    """Whoever comes second says who is first, and touches nothing; a night that was killed holds nothing."""
    (checkout / "out").mkdir()
    lock = checkout / "out" / "nightly.lock"
    lock.write_text("process 1234 since then\n")
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = started(checkout)
        assert done.returncode == 70
        assert "process 1234 since then" in done.stderr
        assert done.stdout == ""
    assert started(checkout).returncode == 0


def test_the_lock_is_held_while_the_night_is_played(checkout: Path) -> None:
    """But not by what the set-up leaves running."""
    probe = "import fcntl; fcntl.flock(open('out/nightly.lock', 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    program(checkout / ".venv" / "bin" / "python", f'python3 -c "{probe}" && echo free || echo held')
    program(checkout.parent / "bin" / "make", "[ -e /proc/self/fd/9 ] && echo leaked; exit 0")
    done = started(checkout)
    assert "held" in done.stdout
    assert "leaked" not in done.stdout


def test_options_of_a_make_above_do_not_reach_it(checkout: Path) -> None:
    program(checkout.parent / "bin" / "make", 'echo "flags: $MAKEFLAGS"')
    assert "flags: \n" in started(checkout, MAKEFLAGS="n").stdout


def packages(*words: str) -> list[str]:
    """What the script says a part needs."""
    done = subprocess.run([SCRIPT, "--packages", *words], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.split()


def test_packages_are_those_of_the_checks() -> None:
    """The doctor, the Wine backend and the script name the same ones."""
    on_wine = {*wine.WINE, *wine.MINGW, *wine.NSIS, *wine.XDOTOOL, "xvfb"}
    assert on_wine == set(parts.INSTALL.split()[2:])
    assert on_wine <= set(packages("wine"))
    machine = {*boot.PACKAGES, *machines.IMAGE_TOOL, *machines.LIBVIRT, *machines.BINDING_PACKAGES, *dialup.SLIRP}
    assert machine | on_wine <= set(packages("vm"))
    assert not (machine | on_wine) & set(packages("simulator"))
    assert set(packages()) == set(packages(*PARTS))


def needed(beginning: str) -> dict[str, list[str]]:
    """What ``.ci/run`` has installed below the remark that begins so: programs, or files, with their packages."""
    text = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (group,) = re.findall(rf"^# {re.escape(beginning)}.*\n((?:[^#\n].*\n)+)", text, re.MULTILINE)
    found: dict[str, list[str]] = {}
    for line in group.splitlines():
        program = re.fullmatch(r'need (\S+) "?([^"]+)"?', line)
        other = re.fullmatch(r"(.+) \|\| missing\+=\((.+)\)", line)
        if program is None and other is None:
            break
        name, packages_ = (program or other).groups()  # type: ignore[union-attr]  # one of the two is there
        found[name] = packages_.split()
    return found


MACHINES = "Virtual machines"
SIBLINGS = {"mformat": "mcopy", "mmd": "mcopy", "qemu-io": "qemu-img", "debugfs": "mke2fs"}
"""Programs that come with another one, in the same package."""
SYSTEM_PROGRAMS = frozenset({
    "apt-cache", "apt-get", "cat", "dpkg-deb", "id", "mount", "nice", "setpriv", "tar", "umount",
})
"""Programs of every Debian: packages apt, coreutils, dpkg, mount, tar and util-linux."""
STARTERS = frozenset({"run", "_run", "Popen", "create_subprocess_exec", "check_output"})


def with_helpers(path: Path) -> set[Path]:
    """A test module and the modules of the tests that it imports, and those that they import."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        for node in ast.walk(ast.parse(one.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests"):
                folder = ROOT / str(node.module).replace(".", "/")
                names = [folder.with_suffix(".py"), *(folder / f"{alias.name}.py" for alias in node.names)]
                waiting += [name for name in names if name.is_file()]
    return found


def programs_of(path: Path) -> set[str]:
    """The programs that a module starts by name, or looks for (``NEEDED``)."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        first: list[ast.expr] = []
        if isinstance(node, ast.Call) and node.args:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            start = node.args[0]
            if called in STARTERS:
                first = start.elts[:1] if isinstance(start, ast.List) else [start]
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("NEEDED", "command"):
            elements = getattr(node.value, "elts", [])
            first = elements if getattr(node.targets[0], "id", "") == "NEEDED" else elements[:1]
        found |= {one.value for one in first if isinstance(one, ast.Constant) and isinstance(one.value, str)}
    return {name for name in found if re.fullmatch(r"[a-z][a-z0-9_-]+", name)}


def test_packages_of_virtual_machines_are_those_of_continuous_integration() -> None:
    """The night plays the longer tests too: it needs no less than a commit does."""
    wanted = needed(MACHINES)
    assert {"qemu-system-x86_64", "libvirtd", "mcopy", "swtpm_setup"} <= set(wanted)
    listed = set(packages("vm"))
    assert {name: there for name, there in wanted.items() if not set(there) <= listed} == {}
    on_wine = needed("A real Windows program")
    assert {name: there for name, there in on_wine.items() if not set(there) <= set(packages("wine"))} == {}


def test_every_program_of_the_tests_with_libvirt_is_among_the_packages() -> None:
    """A test that starts another program fails here first, and not in the night that lacks it."""
    wanted = needed(MACHINES)
    marked = [path for path in (ROOT / "tests").rglob("test_*.py") if "mark.libvirt" in path.read_text("utf-8")]
    marked = [path for path in marked if path != Path(__file__)]
    started_ = {name for path in marked for helper in with_helpers(path) for name in programs_of(helper)}
    assert {"xorriso", "mformat", "qemu-system-x86_64", "setpriv", "slirp-fullbolt"} <= started_
    assert {name for name in started_ - SYSTEM_PROGRAMS if SIBLINGS.get(name, name) not in wanted} == set()
    for program_, package in tools.PACKAGES.items():
        assert package in wanted[program_]


def test_packages_of_a_part_nobody_knows() -> None:
    done = subprocess.run([SCRIPT, "--packages", "mac"], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (64, "")


def test_the_script_is_clean() -> None:
    """shellcheck has nothing to say."""
    checker = shutil.which("shellcheck")
    if checker is None:
        pytest.skip("expected shellcheck, saw none: apt-get install -y shellcheck")
    done = subprocess.run([checker, SCRIPT], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


# --- the workflow ----------------------------------------------------------------------------------------------


def workflow() -> dict[Any, Any]:
    """The workflow as YAML has it; its key `on` is the word for true there."""
    loaded = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def scripts(flow: dict[Any, Any]) -> list[str]:
    """Every script of every step of every job."""
    return [step["run"] for job in flow["jobs"].values() for step in job["steps"] if "run" in step]


SYSTEM = frozenset({"apt-get", "read", "git", "virtlogd", "libvirtd", "if", "fi", "else", "echo", "cat", "then"})
"""Words of the shell, and programs of the system that the workflow itself has installed."""


def unknown_words(script: str, targets: set[str]) -> list[str]:
    """Return what a script starts that is neither of the system nor in the checkout, nor a target of the Makefile."""
    wrong = []
    for line in script.splitlines():
        words = line.split()
        if not words or words[0] == "#":
            continue
        if words[0] == "make":
            named = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
            wrong += [word for word in named if word not in targets]
        elif words[0] not in SYSTEM and not (ROOT / words[0]).is_file():
            wrong.append(words[0])
        wrong += [found for found in re.findall(r"\$\((\.[^ )]+)", line) if not (ROOT / found).is_file()]
    return wrong


def test_every_step_of_the_workflow_starts_something_that_exists() -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert any(".ci/nightly" in script for script in scripts(workflow()))
    for script in scripts(workflow()):
        assert unknown_words(script, targets) == []


def test_a_step_that_starts_something_unknown_is_seen() -> None:
    assert unknown_words("make nihgtly OUT=x\n.ci/nigthly\nread -ra x <<<\"$(.ci/no --x)\"", {"nightly"}) == [
        "nihgtly", ".ci/nigthly", ".ci/no",
    ]
    assert unknown_words("make -k nightly\n.ci/nightly vm", {"nightly"}) == []


def test_the_workflow_plays_every_part_and_keeps_what_came_of_it() -> None:
    """Whatever came of it: artefacts, summary and history are kept always."""
    flow = workflow()
    triggers = flow[True]
    assert set(triggers) == {"schedule", "workflow_dispatch"}
    (job,) = flow["jobs"].values()
    assert job["strategy"]["matrix"]["part"] == list(PARTS)
    assert job["strategy"]["fail-fast"] is False
    steps = {step.get("name", step.get("uses")): step for step in job["steps"]}
    reports = "Reports, bundles of failures, and the page about all nights"
    for name in ("Summary", "Keep the nights for the next one", reports):
        assert steps[name]["if"] == "always()"
    assert "GITHUB_STEP_SUMMARY" in steps["Summary"]["run"]
    hours = re.search(r"--hours (\d+)", steps["The night"]["run"])
    assert hours is not None
    assert int(hours[1]) * 60 < job["timeout-minutes"] - 30


def test_images_are_cached_by_what_they_are_made_from() -> None:
    (job,) = workflow()["jobs"].values()
    step = next(step for step in job["steps"] if step.get("name") == "Built images")
    assert "hashFiles('vm_images/**', 'rrsim/images/**')" in step["with"]["key"]
    assert "restore-keys" not in step["with"], "an image of another recipe must not be taken for this one"


def test_nothing_from_outside_becomes_part_of_a_script() -> None:
    """Values reach scripts as environment variables: an expression in a script is replaced before the shell reads."""
    for script in scripts(workflow()):
        assert "${{" not in script


def test_the_workflow_may_only_read() -> None:
    assert workflow()["permissions"] == {"contents": "read"}


# --- cron and systemd ------------------------------------------------------------------------------------------


def unit(name: str) -> configparser.ConfigParser:
    """A unit file; its keys keep their case."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # how its documentation says it is done
    parser.read(UNITS / name)
    return parser


def test_the_units_start_the_script() -> None:
    service = unit("rrsim-nightly.service")["Service"]
    assert service["ExecStart"] == f"{service['WorkingDirectory']}/.ci/nightly"
    assert service["Type"] == "oneshot"
    assert unit("rrsim-nightly.timer")["Timer"]["OnCalendar"] == "*-*-* 01:17:00"


def test_the_service_waits_for_the_night_to_end_by_itself() -> None:
    """Its limits are larger than the night's own."""
    from rrsim.nightly.__main__ import HOURS
    from rrsim.nightly.run import GRACE_S

    service = unit("rrsim-nightly.service")["Service"]
    assert int(service["TimeoutStartSec"].removesuffix("h")) > HOURS
    assert int(service["TimeoutStopSec"]) > GRACE_S
    assert service["KillMode"] == "mixed"


def test_the_units_are_what_systemd_takes(tmp_path: Path) -> None:
    """Its own checker minds nothing but that the checkout is elsewhere here."""
    checker = shutil.which("systemd-analyze")
    if checker is None:
        pytest.skip("expected systemd-analyze, saw none: apt-get install -y systemd")
    (tmp_path / "checkout").symlink_to(ROOT)  # this path may have a blank, and systemd takes none without quotes
    here = str(tmp_path / "checkout")
    service = (UNITS / "rrsim-nightly.service").read_text(encoding="utf-8").replace("%h/rrsim", here)
    (tmp_path / "rrsim-nightly.service").write_text(service)
    shutil.copy(UNITS / "rrsim-nightly.timer", tmp_path)
    done = subprocess.run(
        [checker, "verify", "--user", tmp_path / "rrsim-nightly.service", tmp_path / "rrsim-nightly.timer"],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}, capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.strip() == ""


def test_the_line_for_cron_starts_the_script() -> None:
    lines = (UNITS / "crontab").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if not line.startswith("#")]
    fields = line.split(maxsplit=5)
    assert [re.fullmatch(r"[\d*]+", field) is not None for field in fields[:5]] == [True] * 5
    assert ".ci/nightly >" in fields[5]
    assert "%" not in line, "cron reads a percent sign as the end of the line"
