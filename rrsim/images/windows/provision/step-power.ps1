# The machine never sleeps by itself, and a shutdown is a whole one unless the image asks for fast startup.

param($Settings, [string] $Medium)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $Medium 'common.ps1')

foreach ($what in @('monitor-timeout-ac', 'disk-timeout-ac', 'standby-timeout-ac')) {
    Invoke-Program 'powercfg.exe' @('/change', $what, '0')
}
$power = 'HKLM:\SYSTEM\CurrentControlSet\Control\Session Manager\Power'
if ($Settings.fast_startup) {
    Invoke-Program 'powercfg.exe' @('/hibernate', 'on')
    Invoke-Program 'powercfg.exe' @('/change', 'hibernate-timeout-ac', '0')
    Set-RegistryValue $power 'HiberbootEnabled' 'DWord' 1
}
else {
    Set-RegistryValue $power 'HiberbootEnabled' 'DWord' 0
    # Some firmware offers no hibernation to turn off: 1 says so.
    Invoke-Program 'powercfg.exe' @('/hibernate', 'off') @(0, 1)
}
Set-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Control' 'AutoStartDelay' 'DWord' $Settings.autostart_delay_s
Set-TimeZone -Id $Settings.time_zone
Write-Fact 'fast-startup' ([string] [bool] $Settings.fast_startup)
