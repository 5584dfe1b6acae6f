#!/usr/bin/env bash
#
# Nightly backup of monitoring data to S3, for cron on a host without Dagster: exports yesterday,
# re-counts the days that may still change, takes a raw snapshot of each system, and verifies a
# sample of what is stored. Each step is a `lake` command; a failed step does not stop the others.
#
#   5 1 * * *  BACKUP_ENV_FILE=/etc/monitoring-lake/env /opt/monitoring-lake/scripts/aws/backup_monitoring_to_s3.sh
#
# Usage: backup_monitoring_to_s3.sh [--dry-run] [--help]
#   --dry-run   prints the commands and does nothing
#
# Environment:
#   LAKE_CONFIG            lake.toml; else ./lake.toml
#   BACKUP_ENV_FILE        file of NAME=value lines that is read first: AWS keys, LAKE_SOURCES__…;
#                          a value is taken as it stands, without the quotes around it; only its
#                          owner may have permissions on the file
#   BACKUP_LAKE            the `lake` program; else .venv/bin/lake beside this script's project,
#                          else the one on PATH
#   BACKUP_DAY             the UTC day YYYY-MM-DD to export; else yesterday
#   BACKUP_SYSTEMS         systems to take snapshots of, such as "mongo loki", or "none"; else
#                          those with a [sources.…] in lake.toml or a LAKE_SOURCES__… variable
#   BACKUP_VERIFY_SAMPLE   share of each snapshot's objects to read back; 5%
#   BACKUP_LOG             log file, appended to; else ~/.local/state/monitoring-lake/backup.log
#   BACKUP_LOCK            lock file; else BACKUP_LOG with the suffix .lock
#   BACKUP_HEARTBEAT_URL   requested only if everything succeeded; never logged
#
# Rights: of `lake bucket policy`, writer; restorer too, to verify snapshots.
#
# Exit status: 0 done, 1 a step failed, 2 wrong usage or configuration, 3 done, but the
# heartbeat could not be sent, 75 another run holds the lock, 130 or 143 interrupted.

set -euo pipefail
umask 077

readonly HEARTBEAT_S=30
dry_run=no
child=

usage() { sed -n '3,/^$/s/^#\{1\} \{0,1\}//p' "$0"; }

fail_usage() {
    printf 'backup: %s\n' "$1" >&2
    exit 2
}

# A disk without room for the log must not keep the steps from running.
log() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" 2>/dev/null >>"$log" || true; }

while [ $# -gt 0 ]; do
    case $1 in
    --dry-run) dry_run=yes ;;
    -h | --help)
        usage
        exit 0
        ;;
    *) fail_usage "unknown argument '$1'; there are --dry-run and --help" ;;
    esac
    shift
done

# Not sourced: the shell would run what it finds in a password, and end an address at its "&".
read_environment() {
    local file=$1 mode line number=0 name value
    [ -r "$file" ] || fail_usage "BACKUP_ENV_FILE can't be read: $file"
    mode=$(stat -c %a -- "$file")
    case $mode in
    ?00) ;;
    *) fail_usage "BACKUP_ENV_FILE is open to others (mode $mode): chmod 600 $file" ;;
    esac
    while IFS= read -r line || [ -n "$line" ]; do
        number=$((number + 1))
        [[ ! $line =~ ^[[:space:]]*([#\;].*)?$ ]] || continue
        [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] ||
            fail_usage "line $number of $file is not NAME=value"
        name=${BASH_REMATCH[2]} value=${BASH_REMATCH[3]}
        value=${value%"${value##*[![:space:]]}"}
        case $value in
        \'*\') value=${value:1:-1} ;;
        *\\*) fail_usage "line $number of $file has a backslash: put the value into single quotes" ;;
        \"*\") value=${value:1:-1} ;;
        esac
        export "$name=$value"
    done <"$file"
}

[ -z "${BACKUP_ENV_FILE:-}" ] || read_environment "$BACKUP_ENV_FILE"

config=${LAKE_CONFIG:-lake.toml}
[ -r "$config" ] || fail_usage "no configuration: $config (set LAKE_CONFIG)"
export LAKE_CONFIG=$config

lake=${BACKUP_LAKE:-}
if [ -z "$lake" ]; then
    lake=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)/.venv/bin/lake
    [ -x "$lake" ] || lake=$(command -v lake) || fail_usage "no lake program: set BACKUP_LAKE"
fi
[ -x "$lake" ] || fail_usage "BACKUP_LAKE is no program: $lake"

day=${BACKUP_DAY:-$(date -u -d yesterday +%F)} || fail_usage "date(1) is not GNU's: set BACKUP_DAY"
[[ $day =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] || fail_usage "BACKUP_DAY is no day: $day"

case ${BACKUP_SYSTEMS:-} in
none) systems=() ;;
"")
    systems=()
    for system in mongo prometheus loki; do
        if grep -qE "^[[:space:]]*\[[[:space:]]*sources[[:space:]]*\.[[:space:]]*[\"']?$system\>" <"$config" ||
            compgen -v "LAKE_SOURCES__${system^^}__" >/dev/null; then
            systems+=("$system")
        fi
    done
    ;;
*) read -r -a systems <<<"$BACKUP_SYSTEMS" ;;
esac
for system in "${systems[@]}"; do
    case $system in
    mongo | prometheus | loki) ;;
    *) fail_usage "BACKUP_SYSTEMS names '$system'; there are mongo, prometheus, loki, none" ;;
    esac
done

if [ -n "${BACKUP_HEARTBEAT_URL:-}" ]; then
    command -v curl >/dev/null || fail_usage "BACKUP_HEARTBEAT_URL is set, and there is no curl"
fi
[ -n "${BACKUP_LOG:-}${HOME:-}" ] || fail_usage "there is no HOME: set BACKUP_LOG"
log=${BACKUP_LOG:-$HOME/.local/state/monitoring-lake/backup.log}
lock=${BACKUP_LOCK:-$log.lock}

steps=("export --day $day" "recheck")
for system in "${systems[@]}"; do
    steps+=("snapshot $system")
done
if [ ${#systems[@]} -gt 0 ]; then
    steps+=("snapshots verify --sample ${BACKUP_VERIFY_SAMPLE:-5%}")
fi

if [ "$dry_run" = yes ]; then
    for step in "${steps[@]}"; do
        printf '%s %s\n' "$lake" "$step"
    done
    [ -z "${BACKUP_HEARTBEAT_URL:-}" ] || printf 'curl, to the heartbeat URL, if all went well\n'
    exit 0
fi

mkdir -p -- "$(dirname -- "$log")" "$(dirname -- "$lock")" 2>/dev/null || true
: 2>/dev/null >>"$log" || fail_usage "BACKUP_LOG can't be written: $log"
# The steps inherit the descriptor: while one of them runs, the lock holds, even if this
# script was killed.
: 2>/dev/null >>"$lock" || fail_usage "BACKUP_LOCK can't be written: $lock"
exec 9>>"$lock"
status=0
flock -n 9 || status=$?
case $status in
0) ;;
1)
    log "another run holds $lock: nothing was done"
    printf 'backup: another run holds %s\n' "$lock" >&2
    exit 75
    ;;
*) fail_usage "flock(1) is missing, or can't lock $lock (status $status)" ;;
esac

interrupted() {
    trap '' INT TERM
    if [ -n "$child" ]; then
        kill -TERM "$child" 2>/dev/null || true
        wait "$child" 2>/dev/null || true
    fi
    log "interrupted"
    exit "$1"
}
trap 'interrupted 130' INT
trap 'interrupted 143' TERM

failed=()
log "begin: $day, with $("$lake" --version)"
for step in "${steps[@]}"; do
    log "lake $step"
    begun=$SECONDS
    read -r -a words <<<"$step"
    # In the background, so that a signal is acted on at once.
    "$lake" "${words[@]}" >>"$log" 2>&1 &
    child=$!
    status=0
    wait "$child" || status=$?
    child=
    log "lake $step: status $status after $((SECONDS - begun)) s"
    [ "$status" -eq 0 ] || failed+=("lake $step (status $status)")
done

if [ ${#failed[@]} -gt 0 ]; then
    log "FAILED: ${#failed[@]} of ${#steps[@]} steps"
    {
        printf 'backup of %s: %d of %d steps failed\n' "$day" ${#failed[@]} ${#steps[@]}
        printf '  %s\n' "${failed[@]}"
        printf 'the log: %s; its end:\n' "$log"
        tail -n 20 -- "$log"
    } >&2
    exit 1
fi
log "done: ${#steps[@]} steps"

if [ -n "${BACKUP_HEARTBEAT_URL:-}" ]; then
    # By standard input: an address with a token must not be seen in the list of processes.
    # A redirect is no receipt, and --fail lets it pass.
    if ! code=$(printf 'url = "%s"\n' "$BACKUP_HEARTBEAT_URL" |
        curl --config - --fail --silent --output /dev/null --write-out '%{http_code}' \
            --retry 3 --max-time "$HEARTBEAT_S") || [[ $code != 2?? ]]; then
        log "the heartbeat could not be sent"
        printf 'backup of %s: done, but the heartbeat could not be sent\n' "$day" >&2
        exit 3
    fi
    log "heartbeat sent"
fi
