<#
.SYNOPSIS
    Patches a PVS server while it is out of rotation in rrdns: drain, wait, patch, resume.

.DESCRIPTION
    Drains the member, waits until no DNS cache can contain it, runs the script block, waits until the
    server serves the boot file again, and resumes.

    If too few servers would be left, it retries every minute until -TryFor is over. If another step
    fails, the server stays drained until -For is over, and the script exits with status 1.

    Needs Windows PowerShell 5.1 or newer, and an operator's token.

.PARAMETER Uri
    URL of the API of rrdns, such as https://rrdns1.corp.example:8053. If you run several rrdns,
    run the script for each of them, because each has its own orders.

.PARAMETER TokenFile
    A file with the token on its first line; only administrators should be able to read it.

.PARAMETER Member
    Name of this server in the config of rrdns.

.PARAMETER Phase
    All: everything. Drain and Resume: the two halves, for a reboot in between.

.PARAMETER Patch
    Script block that patches the server. If it throws an error, the server stays drained.

.EXAMPLE
    .\Invoke-PvsPatch.ps1 -Uri http://10.0.0.53:8053 -TokenFile C:\ProgramData\rrdns\token -Member pvs-2 -Patch { .\update.cmd }
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)] [uri] $Uri,
    [Parameter(Mandatory)] [string] $TokenFile,
    [Parameter(Mandatory)] [string] $Member,
    [string] $Pool = 'boot',
    [string] $Reason = 'patch',
    [ValidatePattern('^(\d+d)?(\d+h)?(\d+m)?(\d+s)?$')] [string] $For = '2h',
    [ValidateSet('All', 'Drain', 'Resume')] [string] $Phase = 'All',
    [scriptblock] $Patch,
    [timespan] $TryFor = '04:00:00',
    [timespan] $HealthyWithin = '00:15:00'
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

$token = (Get-Content -LiteralPath $TokenFile -TotalCount 1).Trim()
$path = "$($Uri.AbsoluteUri.TrimEnd('/'))/v1/pools/$([uri]::EscapeDataString($Pool))/members/$([uri]::EscapeDataString($Member))"
# Windows PowerShell 5.1 does not offer TLS 1.2 everywhere by itself.
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12

function Get-Status($Failure) {
    $response = $Failure.Exception.PSObject.Properties['Response']
    if ($response -and $response.Value) { return [int] $response.Value.StatusCode }
    return 0
}

function Invoke-Rrdns([string] $Method, [string] $Call = '', [hashtable] $Body = $null) {
    $request = @{
        Method          = $Method
        Uri             = "$path$Call"
        Headers         = @{ Authorization = "Bearer $token" }
        TimeoutSec      = 630 # longer than the API lets an order wait
        UseBasicParsing = $true
    }
    if ($Body) {
        $request.ContentType = 'application/json; charset=utf-8'
        $request.Body = [Text.Encoding]::UTF8.GetBytes(($Body | ConvertTo-Json))
    }
    Invoke-RestMethod @request
}

# Too few servers would be left (409): another one will be back. Busy, restarting or not reachable
# (429, 503, 0): for a while.
function Invoke-Stubbornly([scriptblock] $Do, [string] $What) {
    $began = Get-Date
    while ($true) {
        try { return & $Do }
        catch {
            $patience = switch (Get-Status $_) {
                409 { $TryFor }
                { $_ -in 0, 429, 503 } { [timespan] '00:10:00' }
                default { [timespan]::Zero }
            }
            if ((Get-Date) - $began -ge $patience) { throw }
            Write-Warning "$What has to wait: $($_.Exception.Message) $($_.ErrorDetails)"
            Start-Sleep -Seconds 60
        }
    }
}

function Start-Drain {
    $order = @{ reason = $Reason; for = $For; wait = $true }
    $done = Invoke-Stubbornly { Invoke-Rrdns Post '/drain' $order } 'the drain'
    # A long TTL outlasts one wait; the same order again only moves its end.
    while (-not $done.safe) {
        if ($done.member.in) { throw "$Member is handed out again: somebody has resumed it" }
        $done = Invoke-Stubbornly { Invoke-Rrdns Post '/drain' $order } 'the wait'
    }
    Write-Output "$Member is out of every answer since $($done.safe_after)"
}

# What was seen before the patch proves nothing: three new probes must have passed, one after another.
function Wait-Healthy {
    $end = (Get-Date) + $HealthyWithin
    $passed = 0
    $last = ''
    while ($passed -lt 4) { # the first of them may still be from before
        if ((Get-Date) -gt $end) { throw "$Member does not serve the boot file again: it stays drained" }
        Start-Sleep -Seconds 2
        $look = Invoke-Stubbornly { Invoke-Rrdns Get '?recent=0' } 'the look'
        $probe = $look.last_probe
        if (-not $look.standing.up -or -not $probe -or $probe.verdict -ne 'ok') { $passed = 0 }
        elseif ([string] $probe.at -ne $last) { $passed++ }
        if ($probe) { $last = [string] $probe.at }
    }
}

function Stop-Drain {
    Wait-Healthy
    $done = Invoke-Stubbornly { Invoke-Rrdns Post '/resume' @{ reason = "$Reason, done" } } 'the resume'
    if (-not $done.member.in -and $done.member.why -ne 'standby') { throw "$Member is resumed, and not handed out: $($done.member.why)" }
    Write-Output "$Member is back in the answers"
}

try {
    if ($Phase -eq 'All' -and -not $Patch) { throw 'say with -Patch what is to be done' }
    if ($Phase -ne 'Resume') { Start-Drain }
    if ($Phase -eq 'All') { & $Patch }
    if ($Phase -ne 'Drain') { Stop-Drain }
}
catch {
    [Console]::Error.WriteLine("$($_.Exception.Message) $($_.ErrorDetails)")
    exit 1
}
