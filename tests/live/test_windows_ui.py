"""The agent's real windows on Wine, pressed with a real pointer and typed into with a real keyboard."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import threading
from pathlib import Path

import msgspec
import pytest

from rrsim.agent import host
from rrsim.agent.build import ensure_runtime
from rrsim.agent.freezing.places import cache_dir
from rrsim.agent.freezing.prefix import fresh_prefix, windows_path, wine_environment
from rrsim.agent.freezing.steps import INSTALL, find_tool

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("windows_program.py")
DEADLINE_S = 30.0

pytestmark = [pytest.mark.wine, pytest.mark.timeout(300)]


class Program:
    """A program in the machine, and the lines it says."""

    def __init__(self, machine, *arguments):
        self._lines = queue.Queue()
        self._kept = []
        self.process = subprocess.Popen(
            [machine.wine, str(machine.python), windows_path(PROGRAM), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=machine.env, text=True,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self._lines.put(json.loads(line) if line.startswith("{") else {"other": line})
        self._lines.put({"ended": self.process.wait(10)})

    def wait_for(self, key):
        """The next line that says ``key``; what came before it is dropped."""
        seen = []
        while True:
            try:
                line = self._lines.get(timeout=DEADLINE_S)
            except queue.Empty:
                pytest.fail(f"expected a line with {key!r} within {DEADLINE_S:.0f} s, saw {seen}")
            if key in line:
                return line[key]
            seen.append(line)
            if "ended" in line:
                pytest.fail(f"expected a line with {key!r}, the program ended; it said {seen}")

    def heard(self, kind):
        """The next input for the core, which has to be of this kind."""
        found = msgspec.convert(self.wait_for("said"), host.Input)
        assert type(found) is kind, found
        return found

    def do(self, *effects):
        for effect in effects:
            self._send(msgspec.to_builtins(effect))

    def _send(self, what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def windows(self):
        self._send({"see": True})
        return {window["cls"]: window for window in self.wait_for("windows")}

    def window(self, cls):
        """The window of this class, as soon as it is there."""
        for _ in range(200):
            found = self.windows().get(cls)
            if found is not None:
                return found
            threading.Event().wait(0.05)
        pytest.fail(f"expected a window {cls}, saw {sorted(self.windows())}")

    def end(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self._reader.join(10)
        self.process.stdout.close()


class Machine:
    """A prefix with a screen."""

    def __init__(self, prefix, python, display):
        self.wine, self.python = prefix.wine, python
        self.env = wine_environment(prefix.path) | {"DISPLAY": display, "PYTHONPATH": windows_path(ROOT)}
        # Without this the server ends some seconds after the last program, and one that starts just then fails.
        subprocess.run([find_tool("wineserver"), "-p"], env=self.env, check=True, timeout=60)
        self.programs = []
        for key, name, value in (
            (r"HKCU\Software\Wine\Explorer", "Desktop", "Default"),
            (r"HKCU\Software\Wine\Explorer\Desktops", "Default", "1024x768"),
        ):
            self.run("reg", "add", key, "/v", name, "/d", value, "/f")

    def run(self, *command):
        subprocess.run(
            [self.wine, *command], env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, check=True, timeout=60,
        )

    def start(self, *arguments):
        self.programs.append(Program(self, *arguments))
        return self.programs[-1]

    def hands(self, *what):
        subprocess.run(["xdotool", *map(str, what)], env=os.environ | self.env, check=True, timeout=30)

    def click(self, rect):
        self.hands("mousemove", (rect[0] + rect[2]) // 2, (rect[1] + rect[3]) // 2, "click", 1)

    def press(self, window, number):
        (control,) = (c for c in window["controls"] if c["id"] == number)
        assert control["visible"]
        self.click(control["rect"])

    def click_close_button(self, window):
        _, top, right, _ = window["rect"]
        self.hands("mousemove", right - 13, top + 13, "click", 1)

    def end_programs(self):
        while self.programs:
            self.programs.pop(0).end()  # the service first: its helpers end with it


@pytest.fixture(scope="module")
def prefix_with_screen(tmp_path_factory):
    for tool in ("wine", "Xvfb", "xdotool"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs Wine, Xvfb and xdotool: `{INSTALL} xdotool`")
    runtime = ensure_runtime()
    log = tmp_path_factory.mktemp("wine") / "log"
    read_end, write_end = os.pipe()
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "1024x768x24", "-nolisten", "tcp"],
        pass_fds=(write_end,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    try:
        with os.fdopen(read_end) as announced:
            display = ":" + announced.readline().strip()
        with fresh_prefix(cache_dir(), log, lambda _line: None) as prefix:
            yield Machine(prefix, runtime.path / "python.exe", display)
    finally:
        screen.terminate()
        screen.wait(10)


@pytest.fixture
def machine(prefix_with_screen):
    yield prefix_with_screen
    prefix_with_screen.end_programs()


EVERYTHING = (
    host.OpenChat(), host.ShowPrompt(1, "restart"), host.ShowPrompt(2, "sharing"), host.ShowPrompt(3, "leave"),
    host.Tell("line not sent"),
)
"""As much as is ever open at once."""


@pytest.mark.parametrize("language", ["en", "de"])
def test_nothing_is_clipped_and_nothing_covered(machine, language):
    program = machine.start("ui", language)
    program.do(host.Capture(True), *EVERYTHING)
    program.window("rragent.notice")
    shown = program.windows()
    assert len(shown) == len(EVERYTHING)
    for window in shown.values():
        assert [c["text"] for c in window["controls"] if c["clipped"]] == []
    rects = [window["rect"] for window in shown.values()]
    for at, a in enumerate(rects):
        assert 0 <= a[0] < a[2] <= 1024
        assert 0 <= a[1] < a[3] <= 768
        for b in rects[at + 1:]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1], "windows cover each other"


def test_a_pointer_answers_questions_and_a_keyboard_chats(machine):
    program = machine.start("ui", "de")
    program.do(host.OpenChat(), host.ShowPrompt(1, "restart"), host.ShowPrompt(2, "sharing"))
    machine.press(program.window("rragent.prompt.restart"), 6)
    assert program.heard(host.Answered) == host.Answered(1, "yes")
    machine.click_close_button(program.window("rragent.prompt.sharing"))
    assert program.heard(host.Answered) == host.Answered(2, "no")
    chat = program.window("rragent.chat")
    machine.press(chat, 1001)
    machine.hands("type", "Guten Tag, 2 Fragen!")
    machine.hands("key", "Return")
    assert program.heard(host.ChatTyped) == host.ChatTyped("Guten Tag, 2 Fragen!")
    machine.press(chat, 1004)
    program.heard(host.CloseClicked)
    machine.click_close_button(chat)
    program.heard(host.CloseClicked)
    assert "rragent.chat" in program.windows(), "a close is only a wish"


def test_a_question_takes_no_key_that_was_meant_for_the_chat(machine):
    program = machine.start("ui", "en")
    program.do(host.OpenChat())
    machine.press(program.window("rragent.chat"), 1001)
    program.do(host.ShowPrompt(1, "restart"))
    program.window("rragent.prompt.restart")
    machine.hands("type", "y ")
    machine.hands("key", "Return")
    assert program.heard(host.ChatTyped) == host.ChatTyped("y")
    assert "rragent.prompt.restart" in program.windows()


def test_windows_closed_by_another_program_were_not_closed_by_the_customer(machine):
    program = machine.start("ui", "en")
    program.do(host.OpenChat(), host.ShowPrompt(1, "restart"))
    program.window("rragent.prompt.restart")
    machine.start("rragent.chat").wait_for("posted")
    assert program.heard(host.ChatDestroyed) == host.ChatDestroyed("restart manager")
    machine.start("rragent.prompt.restart").wait_for("posted")
    assert program.heard(host.PromptGone) == host.PromptGone(1)


def test_the_service_shows_its_windows_through_a_helper(machine):
    service = machine.start("service", "de")
    service.wait_for("ready")
    service.do(host.ShowChat("rep", "Guten Tag"))
    helper = machine.start("helper")
    assert service.heard(host.HelperReady).desktop == "visible"
    service.do(host.OpenChat(), host.ShowPrompt(1, "restart"))
    prompt = service.window("rragent.prompt.restart")
    assert prompt["title"] == "Computer neu starten?"
    (transcript,) = (c for c in service.windows()["rragent.chat"]["controls"] if c["id"] == 1003)
    assert "Guten Tag" in transcript["text"]
    machine.press(prompt, 7)
    assert service.heard(host.Answered) == host.Answered(1, "no")

    second = machine.start("helper")
    assert second.process.wait(DEADLINE_S) == 0, "one helper a desktop"

    helper.process.kill()
    service.heard(host.HelperGone)
    assert service.wait_for("gone") >= 0
    machine.start("helper")
    service.heard(host.HelperReady)


def test_a_code_reaches_the_service(machine):
    service = machine.start("service", "en")
    service.wait_for("ready")
    for code in ("4711", "0815"):
        assert machine.start("code", code).wait_for("taken")
        assert service.wait_for("code") == code
    assert not machine.start("code", "9" * 300).wait_for("taken")
    assert "hung up" in service.wait_for("log")


def test_a_restart_of_windows_is_heard_once(machine):
    program = machine.start("ui", "en")
    program.do(host.OpenChat())
    program.window("rragent.chat")
    assert machine.start("restart").wait_for("restart")
    assert program.heard(host.QueryEndSession) == host.QueryEndSession("shutdown")
    program.heard(host.SessionEnding)
    assert program.process.wait(DEADLINE_S) is not None
    with pytest.raises(pytest.fail.Exception, match="the program ended"):
        program.wait_for("said")
