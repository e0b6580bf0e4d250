# Runs once, as the system, at the first start without the set-up medium: says what runs, removes itself, and shuts
# Windows down.

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $PSScriptRoot 'common.ps1')

$channels = @('WinRM', 'sshd', 'QEMU-GA')
Write-Mark 'phase' 'settle'
try {
    foreach ($name in $channels) {
        (Get-Service -Name $name).WaitForStatus('Running', [TimeSpan]::FromMinutes(5))
        Write-Fact "runs-$name" 'Running'
    }
    foreach ($port in @(22, 5986)) {
        if (-not (Get-NetTCPConnection -State Listen -LocalPort $port -ErrorAction SilentlyContinue)) {
            throw "expected something listening on port $port, saw nothing"
        }
    }
    Unregister-ScheduledTask -TaskName 'rrsim-settle' -Confirm:$false
    Remove-Item -LiteralPath $PSScriptRoot -Recurse -Force
}
catch {
    Write-Mark 'failed' 'settle' $_.Exception.Message
    exit 1
}
Write-Mark 'done'
Stop-Computer -Force
