# The virtio-win guest tools: drivers for QEMU's devices, and QEMU's guest agent as the service QEMU-GA.

param($Settings, [string] $Medium)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $Medium 'common.ps1')

$installer = Find-OnDrives 'virtio-win-guest-tools.exe'
$log = Join-Path $env:TEMP 'rrsim-guest-tools.log'
$arguments = @('/install', '/norestart', '/quiet', '/log', $log)
$run = Start-Process -FilePath $installer -ArgumentList $arguments -Wait -PassThru
# 3010: installed, and a restart finishes it; the image restarts before it is sealed.
if (@(0, 3010) -notcontains $run.ExitCode) {
    throw "$installer ended with $($run.ExitCode) (expected 0 or 3010); its log is $log"
}
if (-not (Get-Service -Name 'QEMU-GA' -ErrorAction SilentlyContinue)) {
    throw "$installer ended with $($run.ExitCode), but there is no service QEMU-GA; its log is $log"
}
Set-AutomaticService 'QEMU-GA'
Write-Fact 'guest-tools-exit' ([string] $run.ExitCode)
$program = Get-Item -LiteralPath $installer
Write-Fact 'guest-tools-version' $program.VersionInfo.ProductVersion
