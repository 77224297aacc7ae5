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
if "$python" -c 'import ensurepip; ensurepip.version()' 2>/dev/null; then
    exec "$python" -m venv "$venv"
fi

# Debian and Ubuntu leave ensurepip to the package python3-venv. Without it: pip's wheel from PyPI can install itself.
"$python" -m venv --without-pip "$venv"
if ! "$venv/bin/python" - <<'PYTHON'
import hashlib, json, os, subprocess, sys, tempfile, urllib.parse, urllib.request

index = "https://pypi.org/pypi/pip/json"
try:
    with urllib.request.urlopen(index, timeout=60) as answer:
        wheel = next(file for file in json.load(answer)["urls"] if file["packagetype"] == "bdist_wheel")
    with urllib.request.urlopen(urllib.parse.urljoin(index, wheel["url"]), timeout=60) as answer:
        data = answer.read()
except OSError as error:
    sys.exit(f"oldphoto: {index}: {error}")
if hashlib.sha256(data).hexdigest() != wheel["digests"]["sha256"]:
    sys.exit(f"oldphoto: {wheel['filename']} came damaged")
with tempfile.TemporaryDirectory() as folder:
    path = os.path.join(folder, wheel["filename"])
    with open(path, "wb") as file:
        file.write(data)
    subprocess.run([sys.executable, f"{path}/pip", "install", "--quiet", "--no-index", path], check=True)
PYTHON
then
    rm -rf "$venv"
    echo "oldphoto: this Python cannot fill a virtual environment by itself." \
        "On Debian and Ubuntu: sudo apt install python3-venv" >&2
    exit 1
fi
