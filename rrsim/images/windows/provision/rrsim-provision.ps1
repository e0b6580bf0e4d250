# Sets Windows up for rrsim, from the PROVISION medium, at the first logon of the administrator.
#
# Runs elevated: Windows raises first-logon commands of an administrator by itself. Every step tells the first serial
# port that it begins; the first one that fails is told too, and nothing is shut down then, so that the builder can take
# a picture of the screen.

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'

. (Join-Path $PSScriptRoot 'common.ps1')

$settings = Get-Content -Raw -Encoding UTF8 (Join-Path $PSScriptRoot 'settings.json') | ConvertFrom-Json
$steps = @(
    'accounts', 'power', 'quiet', 'updates', 'network', 'winrm', 'openssh', 'guest-tools', 'safe-mode', 'dial-up',
    'finish'
)
foreach ($step in $steps) {
    Write-Mark 'phase' $step
    try {
        & (Join-Path $PSScriptRoot "step-$step.ps1") -Settings $settings -Medium $PSScriptRoot
    }
    catch {
        Write-Mark 'failed' $step ($_.Exception.Message + ' at ' + $_.InvocationInfo.PositionMessage)
        exit 1
    }
}
Write-Mark 'done'
Stop-Computer -Force
