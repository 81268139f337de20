#!/bin/sh
# Start Alertmanager with the addresses of this installation.
#
# Its configuration takes no variables, so the two addresses in alertmanager.yml are replaced:
#   RINGFENCE_WEBHOOK_URL     where every alert is posted (needed)
#   RINGFENCE_PAGERDUTY_URL   another Events v2 address, such as the one for the EU
# The routing key is never among them: it is read from the file that the configuration names.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
made=${TMPDIR:-/tmp}/alertmanager.yml
: "${RINGFENCE_WEBHOOK_URL:?is where every alert is posted, such as https://chat.example/hook}"

literal() { # what sed would read as its own, made plain
  printf '%s' "$1" | sed 's/[&|\]/\\&/g'
}
pagerduty=$(literal "${RINGFENCE_PAGERDUTY_URL:-https://events.pagerduty.com/v2/enqueue}")
webhook=$(literal "$RINGFENCE_WEBHOOK_URL")
folder=$(literal "$here")

umask 077 # a webhook's address often carries a token
sed \
  -e "s|https://events.pagerduty.com/v2/enqueue|$pagerduty|" \
  -e "s|http://127.0.0.1:9095/|$webhook|" \
  -e "s|^  - pager.tmpl\$|  - $folder/pager.tmpl|" \
  "$here/alertmanager.yml" > "$made"

exec "${ALERTMANAGER:-/bin/alertmanager}" --config.file="$made" "$@"
