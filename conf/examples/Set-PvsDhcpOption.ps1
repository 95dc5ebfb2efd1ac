<#
.SYNOPSIS
    Sets options 66 and 150 of a Windows DHCP server from the JSON of an rrdns exporter.

.DESCRIPTION
    Reads the JSON of an rrdns exporter (type "command" or "webhook") from standard input or from
    a file, and changes the options only if they differ. Needs the DhcpServer
    module (RSAT) and the rights of the group "DHCP Administrators".

    If it fails, the script exits with status 1; rrdns reports this and retries.

.PARAMETER Pool
    Name of the pool in the JSON.

.PARAMETER ScopeId
    The scopes to change. Without it, the script changes the server options.

.PARAMETER PolicyName
    A policy of each scope, such as one for UEFI targets, instead of the scope itself.

.PARAMETER Option66
    First: one address, for firmware that takes an address in option 66. Name: the hostname.
    List: all addresses, separated by semicolons, which is not standard (RFC 2132, section 9.4).

.PARAMETER Option150
    Sets option 150 too (RFC 5859), the list of addresses for phones. It must be defined:
    Add-DhcpServerv4OptionDefinition -OptionId 150 -Name 'TFTP servers' -Type IPv4Address -MultiValued

.EXAMPLE
    Get-Content told.json -Raw | .\Set-PvsDhcpOption.ps1 -Pool boot -ScopeId 10.0.8.0 -WhatIf
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)] [string] $Pool,
    [string[]] $ScopeId = @(),
    [string] $PolicyName = '',
    [ValidateSet('First', 'Name', 'List')] [string] $Option66 = 'First',
    [switch] $Option150,
    [string] $ComputerName = 'localhost',
    [string] $Path = '',
    [Parameter(ValueFromPipeline)] [string] $InputText = ''
)

process {
    Set-StrictMode -Version Latest
    $ErrorActionPreference = 'Stop'

    function Set-OptionIfOther([hashtable] $Target, [int] $OptionId, [string[]] $Value) {
        $present = Get-DhcpServerv4OptionValue @Target -OptionId $OptionId -ErrorAction SilentlyContinue
        $before = if ($present) { $present.Value -join ' ' } else { '' }
        if ($before -eq ($Value -join ' ')) { return }
        if ($PSCmdlet.ShouldProcess("option $OptionId", "set to $($Value -join ' ')")) {
            Set-DhcpServerv4OptionValue @Target -OptionId $OptionId -Value $Value
            Write-Output "option ${OptionId}: '$before' -> '$($Value -join ' ')'"
        }
    }

    try {
        $text = $InputText
        if ($Path) { $text = Get-Content -LiteralPath $Path -Raw }
        elseif (-not $text) { $text = [Console]::In.ReadToEnd() }

        $told = @(($text | ConvertFrom-Json).pools | Where-Object { $_.pool -eq $Pool })
        if ($told.Count -ne 1) { throw "rrdns tells nothing of a pool '$Pool'" }
        if (-not $told[0].first) { throw "nobody of pool '$Pool' is handed out" }

        $value66 = switch ($Option66) {
            'First' { $told[0].first }
            'Name' { $told[0].hostname }
            'List' { $told[0].addresses -join ';' }
        }

        $targets = @(@{ ComputerName = $ComputerName })
        if ($ScopeId.Count) {
            $targets = @($ScopeId | ForEach-Object { @{ ComputerName = $ComputerName; ScopeId = $_ } })
        }
        foreach ($target in $targets) {
            if ($PolicyName) { $target.PolicyName = $PolicyName }
            Set-OptionIfOther -Target $target -OptionId 66 -Value @($value66)
            if ($Option150) {
                Set-OptionIfOther -Target $target -OptionId 150 -Value @($told[0].addresses)
            }
        }
    }
    catch {
        [Console]::Error.WriteLine($_.Exception.Message)
        exit 1
    }
}
