#!/usr/bin/env bash
# Remake docs/dashboard.png and docs/dashboard-full.png: replay a simulated tape (about four minutes),
# then draw the committed dashboard from Prometheus's answers. PYTHON is the environment's python.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)

for program in npm node "${CHROMIUM:-chromium}"; do
  if ! command -v "$program" >/dev/null 2>&1; then
    echo "dashboard-picture needs \`$program\` (Debian: npm nodejs chromium)" >&2
    exit 1
  fi
done
if [ "$here/package-lock.json" -nt "$here/node_modules/.package-lock.json" ]; then
  npm --prefix "$here" ci --ignore-scripts --loglevel=error
fi
mkdir -p "$here/build"
"${PYTHON:-python3}" "$here/replay.py" "$here/build/answers.json"
ROWS="Is it watching?,Surveillance" node "$here/picture.mjs" "$here/build/answers.json" "$root/docs/dashboard.png"
node "$here/picture.mjs" "$here/build/answers.json" "$root/docs/dashboard-full.png"
