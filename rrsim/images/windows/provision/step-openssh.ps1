# OpenSSH for Windows from the zip on the medium: what Windows can fetch itself needs Windows Update.

param($Settings, [string] $Medium)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $Medium 'common.ps1')

$zip = Join-Path $Medium 'openssh.zip'
$seen = (Get-FileHash -LiteralPath $zip -Algorithm SHA256).Hash.ToLowerInvariant()
if ($seen -ne $Settings.openssh_sha256) {
    throw "openssh.zip on the medium: expected sha256 $($Settings.openssh_sha256), saw $seen"
}
# Some servers come with an OpenSSH of their own, stopped.
if (Get-Service -Name sshd -ErrorAction SilentlyContinue) {
    Stop-Service -Name sshd -Force
    Invoke-Program 'sc.exe' @('delete', 'sshd')
}
$unpacked = Join-Path $env:TEMP 'rrsim-openssh'
Expand-Archive -LiteralPath $zip -DestinationPath $unpacked -Force
$inner = Get-ChildItem -LiteralPath $unpacked -Recurse -Filter sshd.exe | Select-Object -First 1
if ($null -eq $inner) {
    throw "openssh.zip on the medium: expected an sshd.exe in it, saw none"
}
$place = Join-Path $env:ProgramFiles 'OpenSSH'
New-Item -Path $place -ItemType Directory -Force | Out-Null
Copy-Item -Path (Join-Path $inner.DirectoryName '*') -Destination $place -Recurse -Force
Remove-Item -LiteralPath $unpacked -Recurse -Force

& (Join-Path $place 'install-sshd.ps1') -Confirm:$false | Out-Null
Set-AutomaticService 'sshd'
# The first start makes the host keys and the default settings.
Start-Service -Name sshd
$rule = @{
    Name        = 'rrsim-ssh'
    DisplayName = 'rrsim SSH'
    Direction   = 'Inbound'
    Protocol    = 'TCP'
    LocalPort   = 22
    Action      = 'Allow'
    Profile     = 'Any'
}
New-NetFirewallRule @rule | Out-Null
$key = Join-Path $env:ProgramData 'ssh\ssh_host_ed25519_key.pub'
Write-Fact 'ssh-host-key' ((Get-Content -LiteralPath $key -Raw).Trim())
$program = Get-Item -LiteralPath (Join-Path $place 'sshd.exe')
Write-Fact 'ssh-version' $program.VersionInfo.ProductVersion
