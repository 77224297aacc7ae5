#!/usr/bin/env bash
# usage: infra/train-more.sh PHOTOS TEXTURES RUN RELEASE [MINUTES]
#
# Trains the default release's detector further, which is what gained most by further training so far, and packs it with
# the default release's other networks. PHOTOS are clean ones, TEXTURES scratches, dust and papers; RUN is the run folder,
# RELEASE the folder to write. Stopped, it goes on with the same command. All stages from nothing: infra/train-release.sh.
#
# From the environment: COMMAND (oldphoto), START (default), DEVICE (cpu), STEPS (in place of minutes: for a trial).
set -euo pipefail

# ---- The numbers of the default release: one core of two, docs/training.md ------------------------------------------
MINUTES=55
OPTIONS="--lr 1e-3 --seed 21 --threads 1 --evaluate-every 1000"
# ---------------------------------------------------------------------------------------------------------------------

if [ $# -ne 4 ] && [ $# -ne 5 ]; then
    echo "$0: expected 4 arguments, or 5 with minutes, found $#" >&2
    sed -n '2s/^# //p' "$0" >&2
    exit 2
fi
photos=$1 textures=$2 run=$3 release=$4
command=${COMMAND:-oldphoto} start=${START:-default} budget="--minutes ${5:-$MINUTES}"
if [ -n "${STEPS:-}" ]; then budget="--steps $STEPS"; fi
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

# shellcheck disable=SC2086  # options are words
$command train detector --photos "$photos" --textures "$textures" --run "$run" --start "$start" \
    --device "${DEVICE:-cpu}" $budget $OPTIONS
$command train release "$run" "$release" --last --parent "$start"
echo "Now judge it: $command evaluate --release $release --photos $photos --textures $textures --out figures"
echo "and ask what it does to what is sound: python -m oldphoto_core.evaluation.do_no_harm --help"
