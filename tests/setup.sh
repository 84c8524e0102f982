#!/bin/sh
# Puts the foreign parts in place that the tests run longshore against: a browser, the Node packages
# of tests/node with a Node to run them, and the previous generation of the Python SDK in an
# environment of its own. Safe to repeat; does next to nothing when all is there already.
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

chromium() {
    if command -v chromium >/dev/null; then return; fi
    if ! can_install; then
        say "no chromium on PATH and no way to install it here: the browser journey will be skipped"
        return
    fi
    say "installing chromium"
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium
}

# No install scripts: the browser above is used, and the Node comes as a plain platform package.
node_packages() {
    stamp=$(stamp_of "$NODE_FOLDER/package.json" "$NODE_FOLDER/package-lock.json")
    if [ "$(cat "$NODE_FOLDER/node_modules/.stamp" 2>/dev/null)" = "$stamp" ]; then return; fi
    say "installing the Node packages of $NODE_FOLDER"
    (cd "$NODE_FOLDER" && PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm ci --ignore-scripts --loglevel=error)
    "$NODE_FOLDER/node_modules/.bin/node" --version >/dev/null
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

chromium
node_packages
previous_sdk
