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
#                          only its owner may have permissions on it
#   BACKUP_LAKE            the `lake` program; else .venv/bin/lake beside this script's project,
#                          else the one on PATH
#   BACKUP_DAY             the UTC day YYYY-MM-DD to export; else yesterday
#   BACKUP_SYSTEMS         systems to take snapshots of, such as "mongo loki", or "none"; else
#                          those with a [sources.…] in lake.toml
#   BACKUP_VERIFY_SAMPLE   share of each snapshot's objects to read back; 5%
#   BACKUP_LOG             log file, appended to; else ~/.local/state/monitoring-lake/backup.log
#   BACKUP_LOCK            lock file; else BACKUP_LOG with the suffix .lock
#   BACKUP_HEARTBEAT_URL   requested only if everything succeeded; never logged
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

log() { printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>"$log"; }

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

read_environment() {
    local file=$1 mode
    [ -r "$file" ] || fail_usage "BACKUP_ENV_FILE can't be read: $file"
    mode=$(stat -c %a "$file")
    case $mode in
    ?00) ;;
    *) fail_usage "BACKUP_ENV_FILE is open to others (mode $mode): chmod 600 $file" ;;
    esac
    set -a
    # shellcheck source=/dev/null
    . "$file"
    set +a
}

[ -z "${BACKUP_ENV_FILE:-}" ] || read_environment "$BACKUP_ENV_FILE"

config=${LAKE_CONFIG:-lake.toml}
[ -r "$config" ] || fail_usage "no configuration: $config (set LAKE_CONFIG)"
export LAKE_CONFIG=$config

lake=${BACKUP_LAKE:-}
if [ -z "$lake" ]; then
    lake=$(cd "$(dirname "$0")/../.." && pwd)/.venv/bin/lake
    [ -x "$lake" ] || lake=$(command -v lake) || fail_usage "no lake program: set BACKUP_LAKE"
fi
[ -x "$lake" ] || fail_usage "BACKUP_LAKE is no program: $lake"

day=${BACKUP_DAY:-$(date -u -d yesterday +%F)}
[[ $day =~ ^[0-9]{4}-[0-9]{2}-[0-9]{2}$ ]] || fail_usage "BACKUP_DAY is no day: $day"

case ${BACKUP_SYSTEMS:-} in
none) systems=() ;;
"") mapfile -t systems < <(sed -nE 's/^[[:space:]]*\[sources\.(mongo|prometheus|loki)\].*/\1/p' "$config") ;;
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

mkdir -p "$(dirname "$log")" "$(dirname "$lock")" 2>/dev/null || true
: 2>/dev/null >>"$log" || fail_usage "BACKUP_LOG can't be written: $log"
# The steps inherit the descriptor: while one of them runs, the lock holds, even if this
# script was killed.
exec 9>>"$lock"
if ! flock --nonblock 9; then
    log "another run holds $lock: nothing was done"
    printf 'backup: another run holds %s\n' "$lock" >&2
    exit 75
fi

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
        tail -n 20 "$log"
    } >&2
    exit 1
fi
log "done: ${#steps[@]} steps"

if [ -n "${BACKUP_HEARTBEAT_URL:-}" ]; then
    # By standard input: an address with a token must not be seen in the list of processes.
    if ! printf 'url = "%s"\n' "$BACKUP_HEARTBEAT_URL" |
        curl --config - --fail --silent --output /dev/null --retry 3 --max-time "$HEARTBEAT_S"; then
        log "the heartbeat could not be sent"
        printf 'backup of %s: done, but the heartbeat could not be sent\n' "$day" >&2
        exit 3
    fi
    log "heartbeat sent"
fi
