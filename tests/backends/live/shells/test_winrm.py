"""The WinRM shell against a stub of Windows' service: commands, files, and everything that a restart does to them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rrsim.backends.live.shells.interface import (
    Boot,
    DeadlineMissed,
    NotOpen,
    NotYet,
    OldBoot,
    Result,
    ShellFault,
    ShellLost,
    ShellRefused,
    TooMuch,
    WrongMachine,
)
from rrsim.backends.live.shells.login import Login
from rrsim.backends.live.shells.winrm import WinRmShell
from tests.backends.live.shells.stories import Watch, tell, threads_end
from tests.backends.live.shells.winrm_rig import (
    PASSWORD,
    USER,
    Certified,
    PretendPowerShell,
    Script,
    StubWinRm,
    decoded,
    stub_winrm,
)

RIGHT = Login(USER, PASSWORD)


@pytest.fixture
def stub() -> Iterator[StubWinRm]:
    with stub_winrm() as stub:
        yield stub


def make_shell(stub: StubWinRm, *, young_s: float = 0, **options: Any) -> WinRmShell:
    options = {"login": RIGHT, "boot": Boot(young_s=young_s), "plain_http": True, **options}
    return WinRmShell(stub.where, **options)


def with_shell(stub: StubWinRm, story: Any, **options: Any) -> Any:
    """Tell a story of an open shell."""

    async def told() -> Any:
        shell = make_shell(stub, **options)
        await shell.open(limit_s=5)
        try:
            return await story(shell)
        finally:
            await shell.close()

    return tell(told())


async def run(shell: WinRmShell) -> Result:
    return await shell.run("do it", limit_s=5)


def test_a_line_goes_through_cmd_and_a_list_goes_past_it(stub: StubWinRm) -> None:
    async def story(shell: WinRmShell) -> None:
        assert await shell.run("dir & ver", limit_s=5) == Result(0, "ran dir & ver", "")
        await shell.run(["C:\\my tools\\a.exe", "b c", 'say "hi"', "%PATH%"], limit_s=5)

    with_shell(stub, story)
    assert stub.seen.commands == [
        ("dir & ver", True), ('"C:\\my tools\\a.exe" "b c" "say \\"hi\\"" %PATH%', False),
    ]
    assert stub.seen.signals == 2
    assert stub.seen.shells == set()  # Windows keeps few at once: they are deleted


def test_the_remote_shell_speaks_utf_8_and_is_dropped_if_nobody_comes_back(stub: StubWinRm) -> None:
    with_shell(stub, run)
    assert stub.seen.options["WINRS_CODEPAGE"] == "65001"
    assert stub.seen.idle == "PT600S"


def test_output_in_pieces_is_put_together_and_a_large_code_is_unsigned(stub: StubWinRm) -> None:
    word = "größer".encode()
    stub.answer = lambda _: Script([(word[:3], b""), (word[3:], b"e1\r\n"), (b"", b"e2")], code=-1073741510)
    assert with_shell(stub, run) == Result(0xC000013A, "größer", "e1\ne2")


def test_what_powershell_writes_as_an_error_is_taken_out_of_its_xml(stub: StubWinRm) -> None:
    text = ('#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
            '<S S="progress">1 %</S><S S="Error">no such thing_x000D__x000A_</S><S S="Error">at line 1</S></Objs>')
    stub.answer = lambda _: Script([(b"", text.encode())], code=1)
    assert with_shell(stub, run) == Result(1, "", "no such thing\nat line 1")


def test_a_silent_command_is_asked_again_and_again_and_ends_well(stub: StubWinRm) -> None:
    stub.answer = lambda _: Script([(b"at last", b"")], silent_rounds=5)
    assert with_shell(stub, run).out == "at last"
    assert stub.seen.messages.count("Receive") == 6


def test_a_command_that_is_silent_for_ever_costs_its_time_only(stub: StubWinRm) -> None:
    stub.answer = lambda _: Script(silent_rounds=-1)
    watch = Watch()

    async def story(shell: WinRmShell) -> None:
        with pytest.raises(DeadlineMissed, match=r"had 0\.4 s running a command"):
            await shell.run("do it", limit_s=0.4)
        with pytest.raises(NotOpen):
            await shell.run("do it", limit_s=1)

    with_shell(stub, story)
    assert watch.s < 2
    assert threads_end("rrsim winrm")


@pytest.mark.parametrize("message", ["Command", "Receive"])
def test_an_answer_that_never_comes_costs_its_time_only(stub: StubWinRm, message: str) -> None:
    stub.faults.silent_at = message
    watch = Watch()

    async def story(shell: WinRmShell) -> None:
        with pytest.raises(DeadlineMissed):
            await shell.run("do it", limit_s=0.4)

    with_shell(stub, story)
    assert watch.s < 2
    assert threads_end("rrsim winrm"), "the thread waits on, though its socket was ended"


def test_an_open_that_is_never_answered_costs_its_time_only(stub: StubWinRm) -> None:
    stub.faults.silent_at = "Create"
    watch = Watch()

    async def told() -> None:
        with pytest.raises(DeadlineMissed, match="to be opened"):
            await make_shell(stub).open(limit_s=0.4)

    tell(told())
    assert watch.s < 2
    assert threads_end("rrsim winrm")


def test_no_byte_for_long_while_an_answer_is_due_is_a_loss(stub: StubWinRm) -> None:
    stub.faults.silent_at = "Receive"

    async def story(shell: WinRmShell) -> None:
        shell._client._protocol.transport.read_timeout_sec = 0.3
        with pytest.raises(ShellLost, match="while a command ran") as lost:
            await shell.run("do it", limit_s=8)
        assert lost.value.sent

    with_shell(stub, story)


@pytest.mark.parametrize("message", ["Command", "Receive"])
def test_a_connection_lost_in_mid_command_leaves_the_outcome_unknown(stub: StubWinRm, message: str) -> None:
    stub.faults.cut_at = message

    async def story(shell: WinRmShell) -> None:
        with pytest.raises(ShellLost, match="lost its connection while a command") as lost:
            await run(shell)
        assert lost.value.sent
        with pytest.raises(NotOpen, match="its last call failed"):
            await run(shell)

    with_shell(stub, story)
    assert stub.seen.messages.count("Command") == 1, "a command may never be repeated unasked"


def test_a_machine_that_is_gone_before_a_command_has_not_got_it() -> None:
    with stub_winrm() as stub:

        async def story(shell: WinRmShell) -> None:
            stub.close()
            shell._client._protocol.transport.close_session()  # as after an idle time: it has to connect anew
            with pytest.raises(ShellLost, match="Connection refused") as lost:
                await run(shell)
            assert not lost.value.sent

        with_shell(stub, story)


def test_a_cleanup_that_fails_after_a_restart_does_not_hide_how_the_command_ended(stub: StubWinRm) -> None:
    stub.faults.cut_at = "Signal"

    async def story(shell: WinRmShell) -> None:
        assert (await run(shell)).code == 0
        with pytest.raises(NotOpen, match="cleaned up"):
            await run(shell)

    with_shell(stub, story)


def test_a_shell_of_before_the_restart_is_known_for_one(stub: StubWinRm) -> None:
    async def story(shell: WinRmShell) -> None:
        stub.forget_shells()
        with pytest.raises(OldBoot, match="was restarted"):
            await run(shell)

    with_shell(stub, story)


def test_a_shell_that_is_forgotten_in_mid_command_leaves_the_outcome_unknown(stub: StubWinRm) -> None:
    def answer(_: str) -> Script:
        stub.forget_shells()
        return Script()

    stub.answer = answer

    async def story(shell: WinRmShell) -> None:
        with pytest.raises(ShellLost, match="forgot the shell") as lost:
            await run(shell)
        assert lost.value.sent

    with_shell(stub, story)


def test_good_credentials_declined_early_in_a_boot_are_tried_again(stub: StubWinRm) -> None:
    stub.faults.decline_first = 2

    async def told() -> Result:
        shell = make_shell(stub, young_s=60)
        for _ in range(2):
            with pytest.raises(NotYet, match=r"\(401\), as happens early in a boot"):
                await shell.open(limit_s=5)
        await shell.open(limit_s=5)
        try:
            return await run(shell)
        finally:
            await shell.close()

    assert tell(told()).code == 0


def test_credentials_declined_later_are_refused_and_no_text_shows_them(stub: StubWinRm) -> None:
    async def told() -> None:
        with pytest.raises(ShellRefused, match="declines 'rrsim-admin'") as refused:
            await make_shell(stub, login=Login(USER, "wrong secret")).open(limit_s=5)
        assert "wrong secret" not in str(refused.value)

    tell(told())


def test_credentials_declined_in_the_middle_are_a_loss(stub: StubWinRm) -> None:
    async def story(shell: WinRmShell) -> None:
        stub.faults.decline_first = -1
        with pytest.raises(ShellLost, match="in the middle of a shell"):
            await run(shell)

    with_shell(stub, story)


def test_nothing_there_and_a_service_that_is_starting_are_not_yet(stub: StubWinRm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()
    stub.faults.status = 503

    async def told() -> None:
        with pytest.raises(NotYet, match="Connection refused"):
            await WinRmShell(closed, RIGHT, boot=Boot(), plain_http=True).open(limit_s=5)
        with pytest.raises(NotYet, match="does not answer properly"):
            await make_shell(stub).open(limit_s=5)
        stub.faults.status, stub.faults.cut_at = 0, "Create"
        with pytest.raises(NotYet, match="does not answer properly"):
            await make_shell(stub).open(limit_s=5)

    tell(told())


@pytest.mark.parametrize(("status", "text"), [(404, "answers with HTTP 404"), (200, "not as WinRM does"),
                                              (302, "answers with HTTP 302")])
def test_what_is_not_winrm_is_named(stub: StubWinRm, status: int, text: str) -> None:
    stub.faults.status = status

    async def told() -> None:
        with pytest.raises(ShellFault, match=text):
            await make_shell(stub).open(limit_s=5)

    tell(told())


def test_too_much_output_is_an_error_and_the_command_is_ended(stub: StubWinRm) -> None:
    stub.answer = lambda _: Script([(b"x" * 100_000, b"")] * 1000)

    async def story(shell: WinRmShell) -> None:
        with pytest.raises(TooMuch, match="more than 250000 bytes"):
            await run(shell)
        stub.answer = lambda _: Script()
        assert (await run(shell)).code == 0

    with_shell(stub, story, most_output_bytes=250_000)
    assert stub.seen.messages.count("Receive") == 4
    assert stub.seen.signals == 2


def test_an_answer_that_is_larger_than_any_envelope_is_not_read_to_its_end(stub: StubWinRm) -> None:
    stub.answer = lambda _: Script([(b"x" * 8_000_000, b"")])

    async def story(shell: WinRmShell) -> None:
        with pytest.raises(ShellLost, match="an answer of more than"):
            await run(shell)

    with_shell(stub, story)


def test_the_end_of_the_boot_ends_a_running_command_at_once(stub: StubWinRm) -> None:
    stub.answer = lambda _: Script(silent_rounds=-1)

    async def story(shell: WinRmShell) -> None:
        running = asyncio.ensure_future(run(shell))
        await asyncio.sleep(0.2)
        shell.boot.end("the host saw a reset")
        with pytest.raises(ShellLost, match="the host saw a reset"):
            await running
        with pytest.raises(OldBoot):
            await run(shell)

    with_shell(stub, story)
    assert threads_end("rrsim winrm")


# --- files and detached commands -----------------------------------------------------------------------------------


def test_a_file_is_copied_by_lines_on_standard_input_and_checked(stub: StubWinRm, tmp_path: Path) -> None:
    stub.answer = machine = PretendPowerShell()
    data = os.urandom(200_000)
    (tmp_path / "file").write_bytes(data)
    (tmp_path / "empty").write_bytes(b"")

    async def story(shell: WinRmShell) -> None:
        await shell.put(tmp_path / "file", "C:\\it's\\here", limit_s=5)
        await shell.put(tmp_path / "empty", "C:\\empty", limit_s=5)
        assert await shell.get("C:\\it's\\here", limit_bytes=200_000, limit_s=5) == data
        assert await shell.get("C:\\empty", limit_bytes=200_000, limit_s=5) == b""
        with pytest.raises(TooMuch, match=r"more than the 199999 bytes .* \(size=200000\)"):
            await shell.get("C:\\it's\\here", limit_bytes=199_999, limit_s=5)
        with pytest.raises(ShellFault, match="Could not find file"):
            await shell.get("C:\\missing", limit_bytes=10, limit_s=5)
        machine.damage = b"!"
        with pytest.raises(ShellFault, match="arrived damaged"):
            await shell.put(tmp_path / "file", "C:\\damaged", limit_s=5)

    with_shell(stub, story)
    assert machine.files == {"C:\\it's\\here": data, "C:\\empty": b""}
    assert stub.seen.messages.count("Send") == 2 * (5 + 1) + 1


def test_a_detached_command_is_started_by_the_management_service(stub: StubWinRm) -> None:
    stub.answer = lambda _: Script([(b"returned=0\r\npid=4711\r\n", b"")])

    async def story(shell: WinRmShell) -> None:
        assert await shell.start_detached(["C:\\it's.exe", "a b"]) == 4711
        stub.answer = lambda _: Script([(b"returned=2\r\npid=\r\n", b"")])
        with pytest.raises(ShellFault, match="access denied"):
            await shell.start_detached("anything")

    with_shell(stub, story)
    script = decoded(stub.seen.commands[0][0])
    assert "Win32_Process -MethodName Create" in script
    assert "CommandLine='C:\\it''s.exe \"a b\"'" in script


# --- protection -----------------------------------------------------------------------------------------------------


def test_the_certificate_is_checked_for_its_authority_and_its_name(tmp_path: Path) -> None:
    certified = Certified(tmp_path)
    with stub_winrm(certified.server) as stub:

        def opened(**options: Any) -> Result:
            result: Result = with_shell(stub, run, plain_http=False, **options)
            return result

        good = {"certificate": certified.authority_file, "server_name": "windows.test"}
        assert opened(**good).code == 0
        for wrong in ({"certificate": certified.other_file}, {"server_name": "other.test"}, {"server_name": ""},
                      {"certificate": None}):
            with pytest.raises(WrongMachine, match="is not the expected one"):
                opened(**{**good, **wrong})
    assert stub.seen.messages.count("Create") == 1, "the password went to a machine that proved nothing"


def test_a_command_over_tls_that_never_ends_costs_its_time_only(tmp_path: Path) -> None:
    certified = Certified(tmp_path)
    with stub_winrm(certified.server) as stub:
        stub.faults.silent_at = "Receive"

        async def story(shell: WinRmShell) -> None:
            with pytest.raises(DeadlineMissed):
                await shell.run("do it", limit_s=0.4)

        with_shell(stub, story, plain_http=False, certificate=certified.authority_file, server_name="windows.test")
        assert threads_end("rrsim winrm")


def test_proxies_and_certificates_of_the_environment_are_not_obeyed(
    stub: StubWinRm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    assert with_shell(stub, run).code == 0


def test_a_password_never_travels_unprotected() -> None:
    with pytest.raises(ValueError, match="a password would go over plain HTTP to 192"):
        WinRmShell(("192.0.2.1", 5985), RIGHT, boot=Boot(), plain_http=True)
    with pytest.raises(ValueError, match="has none"):
        WinRmShell(("127.0.0.1", 5986), Login(USER), boot=Boot())
