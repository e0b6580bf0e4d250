# Takes the passwords out of Windows again, tells what was installed, and leaves a task for the next start that says
# whether everything runs without the medium.

param($Settings, [string] $Medium)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $Medium 'common.ps1')

$logon = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'
Set-RegistryValue $logon 'AutoAdminLogon' 'String' '0'
foreach ($name in @('DefaultPassword', 'AutoLogonCount')) {
    Remove-ItemProperty -LiteralPath $logon -Name $name -ErrorAction SilentlyContinue
}
foreach ($folder in @('Panther', 'Panther\Unattend', 'System32\Sysprep')) {
    foreach ($file in @('unattend.xml', 'autounattend.xml', 'unattend-original.xml')) {
        $path = Join-Path (Join-Path $env:SystemRoot $folder) $file
        Remove-Item -LiteralPath $path -Force -ErrorAction SilentlyContinue
        if (Test-Path -LiteralPath $path) {
            throw "expected $path removed, since it holds passwords; saw that it is still there"
        }
    }
}

$version = Get-ItemProperty -LiteralPath 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion'
Write-Fact 'windows-build' "$($version.CurrentBuildNumber).$($version.UBR)"
Write-Fact 'windows-edition' $version.EditionID
Write-Fact 'windows-name' $version.ProductName
Write-Fact 'ui-language' ((Get-UICulture).Name)
$windows = '55c92734-d682-4d71-983e-d6ec3f16059f'
$products = @(
    Get-CimInstance -ClassName SoftwareLicensingProduct -Filter "ApplicationID='$windows'" |
        Where-Object { $_.PartialProductKey }
)
foreach ($product in $products) {
    Write-Fact 'licence-status' ([string] $product.LicenseStatus)
    if ($product.EvaluationEndDate -and $product.EvaluationEndDate.Year -gt 2000) {
        $ends = $product.EvaluationEndDate.ToUniversalTime()
        Write-Fact 'evaluation-ends' ($ends.ToString('yyyy-MM-dd'))
    }
}

$home_folder = Join-Path $env:ProgramData 'rrsim-setup'
New-Item -Path $home_folder -ItemType Directory -Force | Out-Null
foreach ($file in @('common.ps1', 'settle.ps1')) {
    Copy-Item -LiteralPath (Join-Path $Medium $file) -Destination $home_folder -Force
}
$script = Join-Path $home_folder 'settle.ps1'
$arguments = "-NoProfile -ExecutionPolicy Bypass -File `"$script`""
$task = @{
    TaskName  = 'rrsim-settle'
    Principal = New-ScheduledTaskPrincipal -UserId 'S-1-5-18' -LogonType ServiceAccount -RunLevel Highest
    Trigger   = New-ScheduledTaskTrigger -AtStartup
    Action    = New-ScheduledTaskAction -Execute 'powershell.exe' -Argument $arguments
    Force     = $true
}
Register-ScheduledTask @task | Out-Null
