"""The adapter of the bundled agent: what it says of files, windows and processes is what the agent itself has."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rrsim.agent import adapter as adapters
from rrsim.agent.adapter import BundledAgent
from rrsim.agent.windows import paths
from rrsim.agent.windows import ui_forms as forms
from rrsim.machine.adapters import Address
from rrsim.machine.desktop import Control, DesktopWindow, Rect

WINDOWS = Path(paths.__file__).parent
BOX = Rect(0, 0, 10, 10)


def constants(module: str) -> dict[str, Any]:
    """Read the plain constants of a module that only Windows can import."""
    found = {}
    for node in ast.parse((WINDOWS / f"{module}.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            try:
                found[node.target.id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def window(cls: str, *controls: Control) -> DesktopWindow:
    """Return a window of a class."""
    return DesktopWindow(1, 2, "rragent.exe", cls, "", BOX, controls)


def test_it_names_every_window_of_the_agents_that_a_scenario_can_meet() -> None:
    agent = BundledAgent()
    named = {cls: agent.window(window(cls)) for cls in (
        forms.CHAT_CLASS, forms.SESSION_CLASS, *forms.PROMPT_CLASSES.values(), forms.NOTICE_CLASS, forms.CANCEL_CLASS,
    )}  # fmt: skip
    assert named == adapters._WINDOWS
    assert agent.window(window(forms.CODE_CLASS)) is None
    assert agent.window(window("#32770")) is None
    assert adapters.CODE_WINDOW == forms.CODE_CLASS


def test_it_knows_the_controls_by_the_agents_own_numbers() -> None:
    agent = BundledAgent()
    assert agent.chat_controls() == (forms.LINE, forms.SEND)
    assert agent.control("chat", "close") == forms.END_SESSION
    assert agent.control("cancel option", "cancel") == forms.CANCEL_RECONNECT
    assert agent.control("notice", "ok") == forms.OK
    for kind in ("restart prompt", "sharing prompt", "leave prompt"):
        assert (agent.control(kind, "yes"), agent.control(kind, "no")) == (forms.YES, forms.NO)  # type: ignore[arg-type]  # a window's name
    assert agent.control("chat", "no such button") is None
    assert agent.control("windows restart dialog", "restart now") is None


def test_the_screen_is_shared_when_the_line_that_says_so_can_be_seen() -> None:
    agent = BundledAgent()
    line = Control(5, forms.SHARED, "Static", "", BOX)
    hidden = Control(5, forms.SHARED, "Static", "", BOX, visible=False)
    assert agent.shows_sharing(window(forms.CHAT_CLASS, line))
    assert not agent.shows_sharing(window(forms.CHAT_CLASS, hidden))
    assert not agent.shows_sharing(window(forms.CHAT_CLASS))


@pytest.mark.parametrize(("verb", "core", "helper"), [
    ("service", True, False), ("agent --value=!*rragent", True, False), ("join", True, False),
    ("helper", False, True), ("resume --value=!*rragent", False, False), ("status", False, False),
])
def test_processes_are_told_apart(verb: str, core: bool, helper: bool) -> None:
    agent = BundledAgent()
    line = f'"{adapters.PROGRAM}" {verb}'
    assert (agent.core_process(line), agent.helper_process(line)) == (core, helper)
    assert (agent.core_process(line.upper()), agent.helper_process(line.upper())) == (core, helper)
    other = rf"C:\Windows\other.exe {verb}"
    assert not agent.core_process(other)
    assert not agent.helper_process(other)


def test_it_watches_what_the_agent_writes() -> None:
    agent, registry = BundledAgent(), constants("registry")
    by_service, by_application = agent.watches("service"), agent.watches("application")
    assert [one.path for one in by_service] == [r"C:\ProgramData\rragent\record.bin", adapters.SAFE_BOOT]
    values = [one.path for one in by_application if one.kind == "value"]
    assert values == [rf"HKCU\{registry['RUN_ONCE']}\\{name}" for name in registry["VALUES"]]
    assert by_application[0].path == r"%LOCALAPPDATA%\rragent\record.bin"
    assert registry["SERVICE"] == adapters.SERVICE
    assert adapters.SAFE_BOOT.endswith(rf"\SafeBoot\Network\{registry['SERVICE']}")
    for watch in (*by_service, *by_application):
        assert watch.appears
        assert watch.goes


@pytest.mark.parametrize(("item", "plain"), [
    ("file:C:/ProgramData/rragent/record.bin", "file:ticket"),
    ("file:C:/users/ann/AppData/Local/rragent/record.new", "file:ticket"),
    ("registry:HKCU/SOFTWARE/Microsoft/Windows/CurrentVersion/RunOnce/!*rragent", "registry:HKCU/RunOnce/!*rragent"),
    ("registry:HKLM/SOFTWARE/Microsoft/Windows/CurrentVersion/RunOnce/!*rragent-safeboot",
     "registry:HKLM/RunOnce/!*rragent-safeboot"),
    ("registry:HKLM/SYSTEM/CurrentControlSet/Control/SafeBoot/Network/rragent",
     "registry:HKLM/SafeBoot/Network/rragent"),
    ("registry:HKCU/SOFTWARE/Microsoft/Windows/CurrentVersion/RunOnce/other",
     "registry:HKCU/SOFTWARE/Microsoft/Windows/CurrentVersion/RunOnce/other"),
    ("boot:safeboot=network", "boot:safeboot=network"),
])
def test_what_a_session_leaves_has_a_plain_name_and_is_never_taken_for_the_product(item: str, plain: str) -> None:
    agent = BundledAgent()
    assert agent.plain_name(item) == plain
    assert not agent.belongs(item)


@pytest.mark.parametrize("item", [
    "service:rragent", "file:C:/Program Files/rragent/rragent.exe", "registry:HKLM/SOFTWARE/rragent/Boot",
    "file:C:/ProgramData/rragent/rragent.log", "file:C:/users/ann/AppData/Local/rragent/rragent.log",
    "file:C:/users/ann/AppData/Local/rragent/rragent-helper.log",
])
def test_the_installed_product_stays(item: str) -> None:
    assert BundledAgent().belongs(item)


# --- on a machine ---------------------------------------------------------------------------------------------------


class Machine:
    """A machine that writes down what is done to it."""

    def __init__(self, drive_c: Path, code: int = 0) -> None:
        self.drive_c, self._code = drive_c, code
        self.done: list[tuple[Any, ...]] = []

    async def copy_in(self, source: Path, target: str, beside: Mapping[str, bytes]) -> None:
        """Take a copy of what lies beside the program."""
        self.done.append(("copy", source.name, target))
        for name, content in beside.items():
            (self.drive_c / name).write_bytes(content)

    async def run(self, command: list[str], timeout_s: float) -> tuple[int, str]:
        """Run a program to its end."""
        self.done.append(("run", *command))
        return self._code, "access denied"

    async def start(self, command: list[str]) -> None:
        """Start a program."""
        self.done.append(("start", *command))

    async def window_of_class(self, cls: str, limit_s: float) -> DesktopWindow:
        """Find a window."""
        self.done.append(("window", cls))
        return window(cls)

    async def click(self, hwnd: int, control: int) -> None:
        """Press a control."""
        self.done.append(("click", hwnd, control))

    async def type_text(self, text: str) -> None:
        """Type."""
        self.done.append(("type", text))

    async def press_key(self, key: str) -> None:
        """Press a key."""
        self.done.append(("key", key))


def built(tmp_path: Path) -> tuple[BundledAgent, Address]:
    """Return an adapter whose agent is built, and a server's address."""
    agent = BundledAgent()
    agent._built = tmp_path / "rragent"
    (tmp_path / "authority.pem").write_text("pem", encoding="ascii")
    return agent, Address("localhost", 4711, str(tmp_path / "authority.pem"))


def test_the_installed_program_can_read_its_configuration(tmp_path: Path) -> None:
    agent, address = built(tmp_path)
    machine = Machine(tmp_path)
    asyncio.run(agent.install(machine, "application", address, "de"))
    assert machine.done == [("copy", "rragent", adapters.HOME)]
    config = paths.read_config(tmp_path)
    assert config == paths.Config("wss://localhost:4711/agent", "ca.pem", "de")
    assert Path(paths.endpoint(config, tmp_path).ca_file).read_text(encoding="ascii") == "pem"


def test_service_mode_is_installed_as_an_administrator_would(tmp_path: Path) -> None:
    agent, address = built(tmp_path)
    machine = Machine(tmp_path)
    asyncio.run(agent.install(machine, "service", address, "en"))
    assert machine.done[-1] == ("run", adapters.PROGRAM, "install")
    with pytest.raises(RuntimeError, match="exit code 5: access denied"):
        asyncio.run(agent.install(Machine(tmp_path, code=5), "service", address, "en"))


def test_support_is_started_by_hand_and_the_code_is_on_no_command_line(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    asyncio.run(BundledAgent().start_support(machine, "123456"))
    assert machine.done == [
        ("start", adapters.PROGRAM, "join"), ("window", forms.CODE_CLASS), ("click", 1, forms.LINE),
        ("type", "123456"), ("key", "Return"),
    ]


def test_the_logs_of_everybody_are_collected(tmp_path: Path) -> None:
    for place in ("ProgramData", "users/ann/AppData/Local"):
        folder = tmp_path / place / "rragent"
        folder.mkdir(parents=True)
        (folder / "rragent.log").write_text(place, encoding="ascii")
        (folder / "rragent-helper.log").write_text(f"helper {place}", encoding="ascii")
        (folder / "record.bin").write_text("a secret", encoding="ascii")
    found = BundledAgent().logs(Machine(tmp_path))
    assert found == {
        "agent-ProgramData-rragent.log": b"ProgramData",
        "agent-ProgramData-rragent-helper.log": b"helper ProgramData",
        "agent-ann-rragent.log": b"users/ann/AppData/Local",
        "agent-ann-rragent-helper.log": b"helper users/ann/AppData/Local",
    }
