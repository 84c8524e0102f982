#!/usr/bin/env bash
# Writes the four lock files of this folder. usage: lock.sh PYTHON [OPTION OF `uv pip compile`...]
# Locked versions stay unless an option such as --upgrade or --upgrade-package NAME changes them.
set -euo pipefail

python=$1
shift
cd "$(dirname "$0")/.."
tool=.cache/lock
[ -x "$tool/bin/uv" ] || { "$python" -m venv "$tool" && "$tool/bin/python" -m pip install --quiet "uv>=0.13"; }

compile() {
    "$tool/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --custom-compile-command "make lock" "$@"
}

compile "$@" pyproject.toml --output-file requirements/runtime.txt
compile "$@" pyproject.toml --group dev --output-file requirements/dev.txt
compile "$@" requirements/build.in --output-file requirements/build.txt
compile "$@" requirements/mcp1.in --output-file requirements/mcp1.txt
