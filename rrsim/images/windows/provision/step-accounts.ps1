# Accounts are made by Windows Setup; here their groups are made sure of, by SID and not by name.

param($Settings, [string] $Medium)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $Medium 'common.ps1')

$administrators = 'S-1-5-32-544'
$users = 'S-1-5-32-545'

function Test-Member {
    param([string] $Group, [string] $Account)
    $sid = (Get-LocalUser -Name $Account).SID.Value
    $members = @(Get-LocalGroupMember -SID $Group | ForEach-Object { $_.SID.Value })
    return $members -contains $sid
}

if (-not (Test-Member $administrators $Settings.administrator)) {
    Add-LocalGroupMember -SID $administrators -Member $Settings.administrator
}
foreach ($name in @($Settings.users)) {
    if (-not (Test-Member $users $name)) {
        Add-LocalGroupMember -SID $users -Member $name
    }
    if (Test-Member $administrators $name) {
        Remove-LocalGroupMember -SID $administrators -Member $name
    }
}
foreach ($name in @($Settings.administrator) + @($Settings.users)) {
    Set-LocalUser -Name $name -PasswordNeverExpires $true
}

# User Account Control has to be on: an agent must cope with it.
$policies = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
$enabled = (Get-ItemProperty -LiteralPath $policies -Name EnableLUA).EnableLUA
if ($enabled -ne 1) {
    throw "expected User Account Control on (EnableLUA 1), saw $enabled"
}
# Signing in with a password alone, as hands do it.
$less = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\PasswordLess\Device'
Set-RegistryValue $less 'DevicePasswordLessBuildVersion' 'DWord' 0
Write-Fact 'groups' "$($Settings.administrator) in $administrators"
