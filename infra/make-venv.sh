#!/usr/bin/env bash
# usage: infra/make-venv.sh PYTHON VENV    makes a virtual environment with pip in it, or says what is missing
set -euo pipefail
python=$1 venv=$2

if ! command -v "$python" >/dev/null; then
    echo "oldphoto: no '$python' here. Install Python 3.11 or later, or name one: make venv PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
    echo "oldphoto: Python 3.11 or later is needed, '$python' is $("$python" --version 2>&1)." \
        "Name another: make venv PYTHON=python3.12" >&2
    exit 1
fi
if "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    exit 0
fi

rm -rf "$venv"
echo "Making $venv with $("$python" --version)"
if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    "$python" -m venv "$venv"
# Debian and Ubuntu leave ensurepip to the package python3-venv; an installed pip can fill the environment as well.
elif "$python" -c 'import venv, pip' 2>/dev/null; then
    "$python" -m venv --without-pip "$venv"
    "$python" -m pip --quiet --python "$venv/bin/python" install pip
else
    echo "oldphoto: this Python can make no virtual environment with pip in it." \
        "On Debian and Ubuntu: sudo apt install python3-venv" >&2
    exit 1
fi
