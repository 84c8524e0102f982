#!/usr/bin/env bash
# Makes the virtual environment FOLDER with PYTHON, all locked dependencies and longshore itself.
# usage: environment.sh PYTHON FOLDER. Repeat it after a change of the lock file.
set -euo pipefail

python=$1
folder=$2
here=$(dirname "$0")
root=$(dirname "$here")

new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

if ! command -v "$python" >/dev/null; then
    echo "longshore needs Python 3.11 or newer, and there is no '$python' on PATH; set PYTHON to one, as in: make PYTHON=/usr/bin/python3.12" >&2
    exit 1
fi
if ! new_enough "$python"; then
    echo "longshore needs Python 3.11 or newer, and '$python' is $("$python" -V 2>&1); set PYTHON to one, as in: make PYTHON=python3.12" >&2
    exit 1
fi

make_environment() {
    rm -rf "$folder"
    "$python" -m venv "$folder" >/dev/null
}

# Debian packages venv apart from python3.
package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
if ! { new_enough "$folder/bin/python" && "$folder/bin/python" -m pip --version >/dev/null 2>&1; }; then
    if ! make_environment; then
        if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
            echo "'$python' cannot make a virtual environment; on Debian and Ubuntu: sudo apt-get install $package" >&2
            exit 1
        fi
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
        make_environment
    fi
fi

pip() { "$folder/bin/python" -m pip --disable-pip-version-check --no-input "$@"; }
echo "longshore: installing the locked dependencies into $folder"
pip install --quiet --require-hashes --requirement "$here/dev.txt"
pip install --quiet --no-deps --no-build-isolation --editable "$root"
