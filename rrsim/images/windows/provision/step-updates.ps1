# Windows Update must not restart the machine on its own: scenarios bring their own restarts.

param($Settings, [string] $Medium)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $Medium 'common.ps1')

$policy = 'HKLM:\SOFTWARE\Policies\Microsoft\Windows\WindowsUpdate\AU'
Set-RegistryValue $policy 'NoAutoUpdate' 'DWord' 1
Set-RegistryValue $policy 'NoAutoRebootWithLoggedOnUsers' 'DWord' 1

$now = (Get-Date).ToUniversalTime()
$begin = $now.ToString('yyyy-MM-ddTHH:mm:ssZ')
$end = $now.AddDays(365).ToString('yyyy-MM-ddTHH:mm:ssZ')
$paused = 'HKLM:\SOFTWARE\Microsoft\WindowsUpdate\UX\Settings'
foreach ($kind in @('PauseUpdates', 'PauseFeatureUpdates', 'PauseQualityUpdates')) {
    Set-RegistryValue $paused "${kind}StartTime" 'String' $begin
}
Set-RegistryValue $paused 'PauseUpdatesExpiryTime' 'String' $end
Set-RegistryValue $paused 'PauseFeatureUpdatesEndTime' 'String' $end
Set-RegistryValue $paused 'PauseQualityUpdatesEndTime' 'String' $end
