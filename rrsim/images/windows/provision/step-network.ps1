# The machine's own network is a private one, so that its firewall lets the harness in.

param($Settings, [string] $Medium)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $Medium 'common.ps1')

foreach ($network in @(Get-NetConnectionProfile)) {
    Set-NetConnectionProfile -InterfaceIndex $network.InterfaceIndex -NetworkCategory Private
}
# A network that Windows has not named yet counts as private too: each machine's card has an address of its own.
$signatures = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows NT\CurrentVersion\NetworkList\Signatures'
$unnamed = '010103000F0000F0010000000F0000F0C967A3643C3AD745950DA7859209176EF5B87C875FA20DF21951640E807D7C24'
Set-RegistryValue (Join-Path $signatures $unnamed) 'Category' 'DWord' 1
$probe = 'HKLM:\SYSTEM\CurrentControlSet\Services\NlaSvc\Parameters\Internet'
Set-RegistryValue $probe 'EnableActiveProbing' 'DWord' ([int] [bool] $Settings.connectivity_probe)
