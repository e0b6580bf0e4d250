"""The set-up scripts and the probes' commands: their shape, and that they and the rest of the builder say the same."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from rrsim.backends.live.shells.quoting import powershell
from rrsim.images.windows import marks, phases, recipe, verify
from rrsim.images.windows import provision_medium as provision
from rrsim.images.windows.questions import MODE, QUESTIONS
from tests.images.windows.script_rules import faults

ROOT = Path(__file__).parents[3] / "vm_images"
SCRIPTS = {path.name: path for path in provision.scripts()}
GOOD = "Set-StrictMode -Version Latest\n$ErrorActionPreference = 'Stop'\n"


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_keeps_the_rules(name: str) -> None:
    assert list(faults(SCRIPTS[name].read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("script", [
    *(probe.command for probe in QUESTIONS), *(probe.prepare for probe in QUESTIONS), MODE, verify.SAFE_FLAG,
    verify.ONE_SHOT,
])  # fmt: skip
def test_every_probe_s_command_keeps_the_rules_and_fits_a_command_line(script: str) -> None:
    assert list(faults(script, entry=False)) == []
    assert powershell(MODE + script)


@pytest.mark.parametrize(("text", "message"), [
    ("Write-Host (1", "( is not closed"),
    ("if ($true) { 1 ]", "] closes nothing"),
    ("'abc", "a string is not closed"),
    ('"a `" b', "a string is not closed"),
    ("1; ls C:\\", "an alias: ls"),
    ("1 | where { 2 }", "an alias: where"),
    ("Add-LocalGroupMember -Group 'Administrators'", "a group by name: Administrators"),
    ("Invoke-Expression $a", "text run as code"),
    ("New-LocalUser -Password $a", "a password in a script"),
    ("Get-Item `\n C:", "a line continued"),
    ("'Größe'", "only ASCII"),
    ("@'\na\n'@", "no here-strings"),
    ("1 \n", "spaces at its end"),
])  # fmt: skip
def test_every_rule_can_fail(text: str, message: str) -> None:
    assert any(message in fault for fault in faults(GOOD + text))


def test_a_script_has_to_be_strict() -> None:
    assert list(faults(GOOD)) == []
    assert len(list(faults("1\n"))) == 2


def test_brackets_in_strings_and_comments_do_not_count() -> None:
    assert list(faults(GOOD + "# (\n'(' ; \"{ `\" [\" ; 'it''s ('\n")) == []


def test_the_builder_waits_for_the_steps_that_the_script_takes() -> None:
    listed = re.search(r"\$steps = @\(([^)]*)\)", SCRIPTS["rrsim-provision.ps1"].read_text())
    assert listed is not None
    steps = re.findall(r"'([a-z-]+)'", listed[1])
    waited = [phase.name for phase in phases.INSTALL]
    assert waited[waited.index("first-logon") + 1 :] == steps
    assert {f"step-{step}.ps1" for step in steps} == {name for name in SCRIPTS if name.startswith("step-")}


def test_scripts_use_just_the_settings_they_are_given() -> None:
    said = msgspec.json.decode(provision.settings(recipe.read(ROOT, "windows-11"), "0" * 64))
    used = {name for path in SCRIPTS.values() for name in re.findall(r"\$Settings\.(\w+)", path.read_text())}
    assert used == set(said)
    assert said["users"] == ["customer"]
    assert said["administrator"] == "rradmin"


def test_no_setting_is_secret() -> None:
    text = provision.settings(recipe.read(ROOT, "windows-11"), "0" * 64).decode().lower()
    assert "password" not in text


def test_what_the_builder_needs_to_know_is_told_by_the_scripts() -> None:
    told = {name for path in SCRIPTS.values() for name in re.findall(r"Write-Fact '([a-z-]+)'", path.read_text())}
    assert {
        "winrm-thumbprint", "winrm-certificate", "ssh-host-key", "computer-name", "windows-build", "windows-edition",
        "evaluation-ends",
    } <= told


def test_groups_are_named_by_sid() -> None:
    text = SCRIPTS["step-accounts.ps1"].read_text()
    assert "S-1-5-32-544" in text
    assert "S-1-5-32-545" in text


def test_the_harness_s_channels_are_listed_for_safe_mode() -> None:
    assert {"WinRM", "sshd", "QEMU-GA", "mpssvc"} <= set(recipe.read(ROOT, "windows-11").setup.safe_mode_services)


# --- marks ------------------------------------------------------------------------------------------------------------


def test_marks_are_read_between_whatever_else_a_serial_port_says() -> None:
    serial = (
        b"\x1b[2J\x1b[01;01HBdsDxe: loading Boot0001\r\n@rrsim phase windowspe\r\nnoise @rrsim fact a some text \r\n"
        b"@rrsim failed winrm it broke: \xff\r\n@rrsim wrong x\r\n@rrsim done\r\n@rrsim phase half"
    )
    assert marks.read(serial) == (
        marks.Mark("phase", "windowspe"), marks.Mark("fact", "a", "some text"),
        marks.Mark("failed", "winrm", "it broke: \ufffd"), marks.Mark("done"),
    )


def test_long_facts_come_in_parts_and_half_of_one_is_none() -> None:
    def facts(*lines: str) -> dict[str, str]:
        return marks.facts(marks.read("".join(f"@rrsim fact {line}\r\n" for line in lines).encode()))

    assert facts("a.1 abc", "a.2 def", "b x", "b y") == {"a": "abcdef", "b": "y"}
    assert facts("a.1 abc", "a.3 def") == {}
    assert facts("a.1 old", "a.2 old", "a.1 new") == {"a": "new"}


def test_setup_s_own_marks_have_the_form_that_is_read() -> None:
    command = marks.command("phase", "windowspe")
    line = command.removeprefix("cmd /c echo ").removesuffix(">COM1") + "\r\n"
    assert marks.read(line.encode()) == (marks.Mark("phase", "windowspe"),)
