#!/bin/sh
# usage: oldphoto-init [PREFECT_YAML]    brings the catalogue up to date, and tells Prefect of pool and deployments
# Run again it changes nothing but what the file says otherwise. OLDPHOTO_CATALOGUE_URL names the catalogue's owner here.
set -eu

oldphoto db upgrade
oldphoto db current
prefect work-pool inspect oldphoto >/dev/null 2>&1 || prefect work-pool create oldphoto --type process
deployments="${1:-/etc/oldphoto/prefect.yaml}"
prefect --no-prompt deploy --prefect-file "$deployments" --all
if grep -q 'flows\.training\.retrain\.retrain' "$deployments"; then python -m flows.training.automation retrain/retrain; fi
