#!/bin/sh
# Installs what the tests run longshore against: a browser, the balancer of the compose stack, Prometheus, strace, the
# Node packages of tests/node with a Node to run them, and the Python SDK 1.x in an environment of its own. Safe to
# repeat; takes a moment if everything is installed.
#
#   PYTHON=python3.12 tests/setup.sh

set -eu
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
NODE_FOLDER=tests/node
MCP1_FOLDER=.venv-mcp1

say() { printf 'setup: %s\n' "$1"; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

can_install() {
    command -v apt-get >/dev/null || return 1
    [ "$(id -u)" -eq 0 ] || { command -v sudo >/dev/null && sudo -n true 2>/dev/null; }
}

# The checksum of the files named, to tell whether what was installed from them is current.
stamp_of() { cat "$@" | cksum; }

system_packages() {
    missing=
    # Of prometheus its programs are used; the tests start one of their own, and no service is relied on.
    for name in chromium haproxy prometheus strace; do
        command -v "$name" >/dev/null || [ -x "/usr/sbin/$name" ] || missing="$missing $name"
    done
    [ -n "$missing" ] || return 0
    if ! can_install; then
        say "not on PATH and no way to install here, so that their tests will be skipped:$missing"
        return
    fi
    say "installing$missing"
    as_root apt-get update -qq
    # shellcheck disable=SC2086 # one word each
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing
}

# No install scripts: the browser above is used, and the Node comes as a plain platform package.
node_packages() {
    stamp=$(stamp_of "$NODE_FOLDER/package.json" "$NODE_FOLDER/package-lock.json")
    if [ "$(cat "$NODE_FOLDER/node_modules/.stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
    say "installing the Node packages of $NODE_FOLDER"
    (cd "$NODE_FOLDER" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --ignore-scripts --loglevel=error)
    "$NODE_FOLDER"/node_modules/node-*/bin/node --version >/dev/null
    printf '%s\n' "$stamp" >"$NODE_FOLDER/node_modules/.stamp"
}

previous_sdk() {
    stamp=$(stamp_of requirements/mcp1.txt)
    if [ "$(cat "$MCP1_FOLDER/.stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
    say "installing the Python SDK 1.x into $MCP1_FOLDER"
    "$PYTHON" -m venv --clear "$MCP1_FOLDER"
    "$MCP1_FOLDER/bin/python" -m pip install --quiet --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements/mcp1.txt
    printf '%s\n' "$stamp" >"$MCP1_FOLDER/.stamp"
}

system_packages
node_packages
previous_sdk
