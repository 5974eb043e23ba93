#!/usr/bin/env bash
# Install the Debian or Ubuntu packages that are missing, without starting any daemon.
#
# usage: install-debian-packages.sh FILE|PACKAGE...     a FILE holds one package a line, # begins a comment
#
# Nothing happens where all are there. Without root or apt-get it says what is missing and leaves it at that, exit status 0:
# the tests that need them tell so themselves.
set -euo pipefail

policy=/usr/sbin/policy-rc.d

list_wanted() {
  local argument
  for argument in "$@"; do
    if [[ -f $argument ]]; then sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$argument"; else printf '%s\n' "$argument"; fi
  done
}

is_installed() {
  [[ $(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

list_missing() {
  local package
  while read -r package; do
    is_installed "$package" || printf '%s\n' "$package"
  done
}

forbid_daemons() {
  # An existing policy is the machine owner's: it stays as it is.
  [[ -e $policy ]] && return
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
}

if ! command -v dpkg-query >/dev/null; then
  echo "Not Debian or Ubuntu: install these by hand for the full test suite: $(list_wanted "$@" | paste -sd' ')" >&2
  exit 0
fi
mapfile -t missing < <(list_wanted "$@" | list_missing)
((${#missing[@]})) || exit 0
if ((EUID != 0)); then
  echo "Missing, and only root can install them: ${missing[*]}" >&2
  exit 0
fi

echo "Installing ${missing[*]}" >&2
export DEBIAN_FRONTEND=noninteractive
forbid_daemons
apt-get update --quiet=2
apt-get install --yes --quiet=2 --no-install-recommends "${missing[@]}" </dev/null
