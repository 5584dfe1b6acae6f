#!/bin/sh
# Chromium for the tests of the Dagster UI: what is on PATH, else Debian's package.
# Without it those tests are skipped (and fail where CI is set); all others run.
set -eu

for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null; then
    exit 0
  fi
done

remedy="install Chromium by hand (Debian: apt-get install chromium), then run this again"
if ! command -v apt-get >/dev/null || [ "$(id -u)" != 0 ]; then
  echo "No Chromium on PATH; only root can install it here: $remedy." >&2
  exit 0
fi

echo "Installing Debian's chromium: about a minute"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update; apt-get install -y --no-install-recommends chromium; } >"$log" 2>&1; then
  tail -n 20 "$log" >&2
  echo "Chromium could not be installed: $remedy." >&2
fi
