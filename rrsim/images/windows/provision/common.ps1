# What the set-up scripts share.

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# One mark on the first serial port, on a line of its own. Text is cut to what a line may hold and kept to ASCII.
function Write-Mark {
    param([string] $Kind, [string] $Name = '', [string] $Text = '')
    $plain = ($Text -replace '[\r\n]+', ' ') -replace '[^\x20-\x7e]', '?'
    if ($plain.Length -gt 3900) {
        $plain = $plain.Substring(0, 3900)
    }
    $line = ("@rrsim $Kind $Name $plain").TrimEnd()
    $port = New-Object -TypeName System.IO.Ports.SerialPort -ArgumentList 'COM1', 115200
    $port.WriteTimeout = 10000
    $port.Open()
    try {
        # The empty line first ends whatever firmware or Windows left on the port.
        $port.Write("`r`n$line`r`n")
    }
    finally {
        $port.Close()
    }
}

# A fact for the builder; long ones go in numbered parts.
function Write-Fact {
    param([string] $Name, [string] $Value)
    $most = 2000
    if ($Value.Length -le $most) {
        Write-Mark 'fact' $Name $Value
        return
    }
    $part = 1
    for ($at = 0; $at -lt $Value.Length; $at += $most) {
        $length = [Math]::Min($most, $Value.Length - $at)
        Write-Mark 'fact' "$Name.$part" ($Value.Substring($at, $length))
        $part += 1
    }
}

# A registry value, its key made when there is none.
function Set-RegistryValue {
    param([string] $Key, [string] $Name, [string] $Type, $Value)
    if (-not (Test-Path -LiteralPath $Key)) {
        New-Item -Path $Key -Force | Out-Null
    }
    New-ItemProperty -LiteralPath $Key -Name $Name -PropertyType $Type -Value $Value -Force | Out-Null
}

# A program that has to end with one of the given codes.
function Invoke-Program {
    param([string] $Path, [string[]] $Arguments, [int[]] $Accepted = @(0))
    # What a program writes to its error stream is no error yet: its exit code says whether it failed.
    $ErrorActionPreference = 'Continue'
    $output = & $Path @Arguments 2>&1 | Out-String
    if ($Accepted -notcontains $LASTEXITCODE) {
        $ErrorActionPreference = 'Stop'
        throw "$Path ended with $LASTEXITCODE (expected $($Accepted -join ' or ')): $output"
    }
}

# The first file of this name at the root of any drive.
function Find-OnDrives {
    param([string] $File)
    foreach ($drive in [System.IO.DriveInfo]::GetDrives()) {
        if ($drive.IsReady) {
            $path = Join-Path $drive.Name $File
            if (Test-Path -LiteralPath $path) {
                return $path
            }
        }
    }
    throw "no drive has $File at its root; is its medium attached?"
}

# A service that starts with Windows, plainly and not delayed: delayed ones may come minutes later.
function Set-AutomaticService {
    param([string] $Name)
    Invoke-Program 'sc.exe' @('config', $Name, 'start=', 'auto')
    Invoke-Program 'sc.exe' @('failure', $Name, 'reset=', '0', 'actions=', 'restart/5000')
}
