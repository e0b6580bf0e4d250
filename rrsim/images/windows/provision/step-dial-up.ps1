# A dial-up entry for rasdial, if the medium has one, and connections that outlive a sign-out.

param($Settings, [string] $Medium)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $Medium 'common.ps1')

Set-RegistryValue 'HKLM:\SYSTEM\CurrentControlSet\Services\RasMan\Parameters' 'KeepRasConnections' 'DWord' 1
$book = Join-Path $Medium 'rasphone.pbk'
if (Test-Path -LiteralPath $book) {
    $folder = Join-Path $env:ProgramData 'Microsoft\Network\Connections\Pbk'
    New-Item -Path $folder -ItemType Directory -Force | Out-Null
    Copy-Item -LiteralPath $book -Destination (Join-Path $folder 'rasphone.pbk') -Force
    Set-ItemProperty -LiteralPath (Join-Path $folder 'rasphone.pbk') -Name IsReadOnly -Value $false
    Write-Fact 'phonebook' 'installed'
}
else {
    Write-Fact 'phonebook' 'none on the medium'
}
# Windows finds a modem on a serial port by asking it; what it found is told, not assumed.
$modems = @(Get-CimInstance -ClassName Win32_POTSModem | ForEach-Object { "$($_.Name) on $($_.AttachedTo)" })
Write-Fact 'modems' ($modems -join ', ')
