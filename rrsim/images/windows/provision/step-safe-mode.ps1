# Lists the harness's own channels for safe mode with networking, and all they depend on. Windows starts there only what
# is listed; whether these really run is one of the questions that rrsim image verify asks.

param($Settings, [string] $Medium)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $Medium 'common.ps1')

$listed = 'HKLM:\SYSTEM\CurrentControlSet\Control\SafeBoot\Network'
$services = 'HKLM:\SYSTEM\CurrentControlSet\Services'
$waiting = New-Object -TypeName 'System.Collections.Generic.Queue[string]'
$known = @{}
foreach ($name in @($Settings.safe_mode_services)) {
    $waiting.Enqueue($name)
}
$added = @()
$missing = @()
while ($waiting.Count -gt 0) {
    $name = $waiting.Dequeue()
    if ($known.ContainsKey($name.ToLowerInvariant())) {
        continue
    }
    $known[$name.ToLowerInvariant()] = $true
    $service = Get-ItemProperty -LiteralPath (Join-Path $services $name) -ErrorAction SilentlyContinue
    if ($null -eq $service) {
        $missing += $name
        continue
    }
    $entry = Join-Path $listed $name
    if (-not (Test-Path -LiteralPath $entry)) {
        # 1 and 2 are kernel drivers and file systems; all else is a service.
        $kind = if (@(1, 2) -contains $service.Type) { 'Driver' } else { 'Service' }
        New-Item -Path $entry -Force | Out-Null
        Set-Item -LiteralPath $entry -Value $kind
        $added += $name
    }
    if ($service.PSObject.Properties.Name -contains 'DependOnService') {
        foreach ($dependency in @($service.DependOnService)) {
            if ($dependency) {
                $waiting.Enqueue($dependency)
            }
        }
    }
}
foreach ($name in @('WinRM', 'sshd', 'QEMU-GA', 'mpssvc')) {
    if (-not (Test-Path -LiteralPath (Join-Path $listed $name))) {
        throw "expected $name listed for safe mode with networking, saw that it is not"
    }
}
Write-Fact 'safe-mode-added' ($added -join ' ')
Write-Fact 'safe-mode-missing' ($missing -join ' ')
