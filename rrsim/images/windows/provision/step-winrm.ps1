# WinRM over HTTPS only, with a certificate of this image, which the builder is told so that it can be pinned.

param($Settings, [string] $Medium)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
. (Join-Path $Medium 'common.ps1')

Set-AutomaticService 'WinRM'
Start-Service -Name WinRM
Set-WSManQuickConfig -Force -SkipNetworkProfileCheck | Out-Null
# Set-WSManQuickConfig made a listener without TLS: nothing may come over it.
foreach ($listener in @(Get-ChildItem -Path WSMan:\localhost\Listener)) {
    Remove-Item -Path $listener.PSPath -Recurse -Force
}
Disable-NetFirewallRule -Group '@FirewallAPI.dll,-30267' -ErrorAction SilentlyContinue

$names = "DNS=$env:COMPUTERNAME&DNS=localhost&IPAddress=127.0.0.1"
$request = @{
    Subject           = "CN=$env:COMPUTERNAME"
    TextExtension     = @("2.5.29.17={text}$names")
    CertStoreLocation = 'Cert:\LocalMachine\My'
    NotAfter          = (Get-Date).AddYears(10)
    KeyAlgorithm      = 'RSA'
    KeyLength         = 2048
    HashAlgorithm     = 'SHA256'
}
$certificate = New-SelfSignedCertificate @request
$listen = @{
    Path                  = 'WSMan:\localhost\Listener'
    Transport             = 'HTTPS'
    Address               = '*'
    CertificateThumbPrint = $certificate.Thumbprint
    Force                 = $true
}
New-Item @listen | Out-Null
Set-Item -Path WSMan:\localhost\Service\AllowUnencrypted -Value $false
# The certificate is pinned and the line is encrypted, so that plain user names and passwords are fit for it.
Set-Item -Path WSMan:\localhost\Service\Auth\Basic -Value $true
Set-Item -Path WSMan:\localhost\MaxTimeoutms -Value 600000
# With User Account Control on, a local administrator from outside would be none without this.
$policies = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
Set-RegistryValue $policies 'LocalAccountTokenFilterPolicy' 'DWord' 1
$rule = @{
    Name        = 'rrsim-winrm-https'
    DisplayName = 'rrsim WinRM over HTTPS'
    Direction   = 'Inbound'
    Protocol    = 'TCP'
    LocalPort   = 5986
    Action      = 'Allow'
    Profile     = 'Any'
}
New-NetFirewallRule @rule | Out-Null
Write-Fact 'computer-name' $env:COMPUTERNAME
Write-Fact 'winrm-thumbprint' $certificate.Thumbprint
Write-Fact 'winrm-certificate' ([Convert]::ToBase64String($certificate.RawData))
