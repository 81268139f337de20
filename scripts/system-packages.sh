#!/usr/bin/env bash
# Debian packages of the real servers that the tests start. As root they are installed; otherwise
# what is missing is named in one line and the tests that need it are skipped.
set -euo pipefail

missing=()
needs() { # needs PACKAGE PROGRAM…: the package is missing when none of the programs is there
  local package=$1 program
  shift
  for program in "$@"; do
    if command -v "$program" >/dev/null 2>&1; then return; fi
    if compgen -G "/usr/lib/postgresql/*/bin/$program" >/dev/null; then return; fi
  done
  missing+=("$package")
}
needs default-jre-headless java
needs maven mvn
needs postgresql initdb
needs prometheus prometheus
needs prometheus-alertmanager prometheus-alertmanager

if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
  echo "installing Debian packages for the tests: ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # The servers are started by the tests on ports of their own, never as services of the machine.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod +x "$policy"
    trap 'rm -f "$policy"' EXIT
  fi
  if apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; then
    exit 0
  fi
  echo "the packages could not be installed; the tests that need them are skipped" >&2
  exit 0
fi
echo "not installed, so the tests that need them are skipped: ${missing[*]} (sudo apt-get install ${missing[*]})" >&2
