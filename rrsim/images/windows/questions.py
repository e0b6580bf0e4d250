"""The open questions about Windows that only a real one answers: what nobody could look up, as probes.

Scripts name services, keys and groups as all languages of Windows do, and print nothing that Windows translates.
"""

from __future__ import annotations

from typing import Final

from rrsim.backends.live.dialup import phonebook as dialling
from rrsim.images.windows.probes import (
    SAFE,
    Probe,
    accelerated,
    by_channel,
    by_order,
    by_value,
    signed_in,
    unlocked,
)

FOLDER: Final = r"C:\ProgramData\rrsim-probe"
"""Where probes leave their marks inside the machine; it goes with the machine."""
RUN_KEYS: Final = r"HKEY_LOCAL_MACHINE\SOFTWARE\Microsoft\Windows\CurrentVersion"

MODE: Final = (
    r"$o=Get-ItemProperty -LiteralPath 'HKLM:\SYSTEM\CurrentControlSet\Control\SafeBoot\Option' "
    "-ErrorAction SilentlyContinue;"
    "'mode='+$(if($o){$o.OptionValue}else{0});"
)
"""Prints 0 in normal Windows, 1 in safe mode, 2 in safe mode with networking. Every command begins with it."""


def service(name: str) -> str:
    """Return the script that prints whether a service runs, as ``service=Running``."""
    return (
        f"$s=Get-Service -Name '{name}' -ErrorAction SilentlyContinue;"
        "'service='+$(if($s){$s.Status}else{'none'})"
    )


def try_service(name: str) -> str:
    """Return the script that tries to start a service, and prints whether it runs then, and Windows' error number."""
    return (
        f"$e=0;try{{Start-Service -Name '{name}' -ErrorAction Stop}}"
        "catch{$i=$_.Exception;while($i.InnerException){$i=$i.InnerException};"
        "if($i -is [ComponentModel.Win32Exception]){$e=$i.NativeErrorCode}else{$e=-1}};"
        f"'error='+$e;{service(name)}"
    )


def driver(name: str, devices: str) -> str:
    """Return the script that prints whether a driver runs, and how many of its devices the machine has."""
    return (
        f"$d=Get-CimInstance Win32_SystemDriver -Filter \"Name='{name}'\";"
        f"$n=@(Get-CimInstance Win32_PnPEntity|Where-Object{{$_.DeviceID -match '{devices}'}}).Count;"
        "'devices='+$n;'driver='+$(if($n -eq 0){'no device'}elseif($d){$d.State}else{'none'})"
    )


def writes(name: str) -> str:
    """Return a command line that leaves a mark when it is run."""
    return f"cmd.exe /d /c echo 1>{FOLDER}\\{name}"


def marked(*names: str) -> str:
    """Return the script that prints which marks are there."""
    return "".join(f"'{name}='+(Test-Path -LiteralPath '{FOLDER}\\{name}');" for name in names)


_DIAL: Final = f"rasdial.exe '{dialling.NAME}' *>$null;'code='+$LASTEXITCODE"
"""No modem answers a verification, so that no call can be made: the code says how far Windows came."""
_DIALLED: Final = "0|608|615|62[89]|630|633|651|666|67[689]|680|692|797"
"""What only an entry that was found comes to: about its port, its device, or its line."""
_MAKE_FOLDER: Final = f"New-Item -ItemType Directory -Force -Path '{FOLDER}'|Out-Null;"


def _set_run(key: str, name: str, command: str) -> str:
    """Return the script that writes an autostart value; its name may have characters that PowerShell takes for more."""
    value = command.replace("'", "''")
    return f"[Microsoft.Win32.Registry]::SetValue('{RUN_KEYS}\\{key}','{name}','{value}');"


def _run_once(name: str, mark: str) -> str:
    return _MAKE_FOLDER + _set_run("RunOnce", name, writes(mark))


def _ticks_after(seconds: int, name: str) -> str:
    """Return a command line that writes the time when it is done, after so many seconds."""
    script = f"Start-Sleep {seconds};[IO.File]::WriteAllText('{FOLDER}\\{name}',[DateTime]::UtcNow.Ticks)"
    return f'powershell.exe -NoProfile -WindowStyle Hidden -Command "{script}"'


_WAITING: Final = (
    _MAKE_FOLDER
    + _set_run("RunOnce", "rrsim-wait", _ticks_after(45, "once"))
    + _set_run("Run", "rrsim-run", _ticks_after(0, "run"))
)
_READ_WAITING: Final = (
    "$end=[DateTime]::UtcNow.AddMinutes(4);"
    f"while([DateTime]::UtcNow -lt $end -and -not((Test-Path '{FOLDER}\\once') -and (Test-Path '{FOLDER}\\run')))"
    "{Start-Sleep 2};"
    f"foreach($n in 'once','run'){{$p='{FOLDER}\\'+$n;"
    "$n+'='+$(if(Test-Path $p){[IO.File]::ReadAllText($p)}else{'none'})}"
)
_TASK: Final = (
    f"{_MAKE_FOLDER}"
    f"$a=New-ScheduledTaskAction -Execute cmd.exe -Argument '/d /c echo 1>{FOLDER}\\task';"
    "$t=New-ScheduledTaskTrigger -AtLogOn;"
    "$p=New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest;"
    "Register-ScheduledTask -TaskName 'rrsim-probe' -Action $a -Trigger $t -Principal $p -Force|Out-Null"
)
_PRESHUTDOWN: Final = (
    "Add-Type -Namespace R -Name S -MemberDefinition '"
    '[DllImport("advapi32",CharSet=CharSet.Unicode,SetLastError=true)]'
    "public static extern IntPtr OpenSCManager(string m,string d,uint a);"
    '[DllImport("advapi32",CharSet=CharSet.Unicode,SetLastError=true)]'
    "public static extern IntPtr OpenService(IntPtr m,string n,uint a);"
    '[DllImport("advapi32",SetLastError=true)]'
    "public static extern bool QueryServiceConfig2W(IntPtr s,uint l,byte[] b,int n,out int need);';"
    "$m=[R.S]::OpenSCManager($null,$null,1);$s=[R.S]::OpenService($m,'Spooler',1);"
    "$b=New-Object byte[] 16;$need=0;"
    "if([R.S]::QueryServiceConfig2W($s,7,$b,16,[ref]$need)){'preshutdown='+[BitConverter]::ToUInt32($b,0)}"
    "else{'preshutdown=error'}"
)
_ENCRYPT: Final = (
    "Enable-BitLocker -MountPoint C: -TpmProtector -SkipHardwareTest -UsedSpaceOnly -ErrorAction Stop|Out-Null;"
    "$end=[DateTime]::UtcNow.AddMinutes(20);"
    "while((Get-BitLockerVolume -MountPoint C:).ProtectionStatus -ne 'On'){"
    "if([DateTime]::UtcNow -gt $end){throw 'the disk was not encrypted within 20 minutes'};Start-Sleep 5}"
)
_PROTECTION: Final = (
    "$v=Get-CimInstance -Namespace root/CIMV2/Security/MicrosoftVolumeEncryption -ClassName Win32_EncryptableVolume "
    "-Filter \"DriveLetter='C:'\" -ErrorAction SilentlyContinue;"
    "'protection='+$(if($v){$v.ProtectionStatus}else{'none'})"
)
_WHO_RESTARTED: Final = (
    "$e=Get-WinEvent -FilterHashtable @{LogName='System';ProviderName='User32';Id=1074} -MaxEvents 1 "
    "-ErrorAction SilentlyContinue;"
    "if($e){$p=($e.Properties[0].Value -split ' ')[0];'program='+(Split-Path -Leaf $p).ToLowerInvariant();"
    "'reason='+$e.Properties[3].Value}else{'program=none'}"
)
_WHO_IS_THERE: Final = (
    "$u=(Get-CimInstance Win32_ComputerSystem).UserName;'user='+$(if($u){'somebody'}else{'nobody'});"
    "'locked='+[bool](Get-Process LogonUI -ErrorAction SilentlyContinue)"
)
_LOGON_CHECKED: Final = (
    r"$k='HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon';"
    r"'checked='+(Test-Path -LiteralPath ($k+'\AutoLogonChecked'))"
)
_TRUE: Final = {"yes": "True", "no": "False"}
_RUNS: Final = {"yes": "Running", "no": "Stopped|StopPending|none"}


def _channel(shell: str, name: str, word: str) -> Probe:
    return Probe(
        id=f"safe-{word}", question=f"Does {name} run in safe mode with networking, once it is listed there?",
        situation="safe mode", command=service(name), channel=shell, read=by_channel(shell),
        if_yes=f"{shell} may be used to look into safe mode", if_no=f"{shell} is not waited for in safe mode",
    )  # fmt: skip


QUESTIONS: Final[tuple[Probe, ...]] = (
    _channel("winrm", "WinRM", "winrm"),
    _channel("ssh", "sshd", "ssh"),
    _channel("guest agent", "QEMU-GA", "guest-agent"),
    Probe(
        id="safe-firewall", question="Does the firewall's service (mpssvc) run in safe mode, once it is listed there?",
        situation="safe mode", command=service("mpssvc"), read=by_value("service", **_RUNS),
        if_yes="rules for the harness's ports hold in safe mode too",
        if_no="an agent's port is open in safe mode, or closed, without the firewall's say",
    ),
    Probe(
        id="safe-dial-up", question="Can dial-up (RasMan) be started in safe mode with networking?",
        situation="safe mode", command=try_service("RasMan"), read=by_value("service", **_RUNS),
        if_yes="the modelled PC is too strict: a dial-up customer may come back in safe mode",
        if_no="as modelled: no dial-up in safe mode, so that an agent has to refuse or warn",
    ),
    Probe(
        id="safe-virtio-serial", question="Does the driver of the guest agent's port load in safe mode?",
        situation="safe mode", command=driver("VirtioSerial", "VEN_1AF4&DEV_(1003|1043)"),
        read=by_value("driver", **_RUNS), if_yes="the guest agent has its port in safe mode",
        if_no="no guest agent in safe mode, whatever is listed",
    ),
    Probe(
        id="safe-virtio-net", question="Does the virtio network driver load in safe mode with networking?",
        situation="safe mode", command=driver("netkvm", "VEN_1AF4&DEV_(1000|1041)"), read=by_value("driver", **_RUNS),
        if_yes="a virtio card may take the place of e1000e", if_no="as built: the card is an e1000e",
    ),
    Probe(
        id="safe-logon-checked", question="Is AutoLogonChecked made at the welcome screen of safe mode?",
        situation="safe mode", command=_LOGON_CHECKED, read=by_value("checked", **_TRUE),
        if_yes="it tells the welcome screen in safe mode too", if_no="the welcome screen there is seen by picture only",
    ),
    Probe(
        id="safe-logon-task", question="Does a task at logon run in safe mode with networking?",
        situation="signed in to safe mode", prepare=_TASK, command=marked("task"),
        read=signed_in(by_value("task", **_TRUE)),
        if_yes="the modelled PC is too strict: tasks run there", if_no="as modelled: no tasks in safe mode",
    ),
    Probe(
        id="run-once-star-first", question="Is a RunOnce value named '*!Name' run in safe mode?",
        situation="signed in to safe mode", prepare=_run_once("*!rrsim-a", "star-first"), command=marked("star-first"),
        read=signed_in(by_value("star-first", **_TRUE)), if_yes="'*!' is a valid order of the two marks",
        if_no="'*!' must not be written",
    ),
    Probe(
        id="run-once-bang-first", question="Is a RunOnce value named '!*Name' run in safe mode?",
        situation="signed in to safe mode", prepare=_run_once("!*rrsim-b", "bang-first"), command=marked("bang-first"),
        read=signed_in(by_value("bang-first", **_TRUE)), if_yes="'!*' is a valid order of the two marks",
        if_no="'!*' must not be written",
    ),
    Probe(
        id="run-once-waits", question="Does Windows wait for a RunOnce program to end before it goes on to Run?",
        situation="signed in", prepare=_WAITING, command=_READ_WAITING, read=signed_in(by_order("once", "run")),
        if_yes="as modelled: a program in RunOnce must start the agent and end",
        if_no="the modelled PC is too strict: a long RunOnce program does not hold the desktop up",
    ),
    Probe(
        id="preshutdown-default", question="Is the default limit of pre-shutdown still 180 seconds?",
        situation="running", command=_PRESHUTDOWN, read=by_value("preshutdown", yes="180000", no=r"\d+"),
        if_yes="as documented", if_no="an agent has to set the limit it needs",
    ),
    Probe(
        id="dial-up-entry", question=f"Does rasdial find the phonebook entry {dialling.NAME!r} for all users?",
        situation="running", command=_DIAL, read=by_value("code", yes=_DIALLED, no="623"),
        if_yes="the entry is where rasdial looks; the code in what was seen says what its modem came to",
        if_no="the entry's form or its place is wrong, unless the image was built with a phonebook of your own",
    ),
    Probe(
        id="auto-dial", question="Can the AutoDial service (RasAuto) be started?", situation="running",
        command=try_service("RasAuto"), read=by_value("service", **_RUNS),
        if_yes="AutoDial may be modelled, after a look at when it dials", if_no="as modelled: no AutoDial",
    ),
    Probe(
        id="bitlocker-safe-mode", question="Does an encrypted Windows start in safe mode without its recovery key?",
        situation="encrypted, then safe mode", prepare=_ENCRYPT, command=_PROTECTION,
        read=unlocked,
        if_yes="as documented: the flag is not among what is measured; suspending BitLocker stays the safer way",
        if_no="BitLocker has to be suspended before the flag is set",
    ),
    Probe(
        id="one-shot-enters", question="Does /bootsequence with a copied entry start safe mode once?",
        situation="one safe start", command="", read=by_value("mode", yes=SAFE, no="0|1"),
        if_yes="a way into safe mode exists that cannot get stuck", if_no="the sticky flag is the only way",
    ),
    Probe(
        id="one-shot-leaves", question="Is the start after that one a normal one again, with nothing done for it?",
        situation="after one safe start", command="", read=by_value("mode", yes="0", no="1|2"),
        if_yes="a way into safe mode exists that cannot get stuck", if_no="the copied entry is sticky too",
    ),
    Probe(
        id="start-menu-1074", question="Does event 1074 name the Start menu's program for a restart from there?",
        situation="restarted from the Start menu", command=_WHO_RESTARTED,
        read=by_value("program", yes=r"startmenuexperiencehost\.exe|explorer\.exe", no=r".+\.exe"),
        if_yes="a restart by the customer is told from others by this name",
        if_no="the name that was seen has to be added to those that mean the customer",
    ),
    Probe(
        id="restart-signs-in", question="Does a restart with /g sign the last user in again by itself?",
        situation="restarted with /g", command=_WHO_IS_THERE, read=by_value("user", yes="somebody", no="nobody"),
        if_yes="as modelled for updates: somebody is signed in, behind a locked screen",
        if_no="/g is a plain restart here",
    ),
    Probe(
        id="kvm", question="Does this Windows run on this host's KVM?", situation="running", command=service("WinRM"),
        read=accelerated, if_yes="runs take minutes", if_no="runs take as long as emulation does, on this host",
    ),
)  # fmt: skip
"""Every question, each with an id of its own."""
