#!/usr/bin/env bash
# usage: infra/train-more.sh DATA RUN RELEASE [DETECTOR MENDER]
#
# Trains the default release's detector and mender further, and packs them with its other networks. DATA has clean/ (photos),
# texture/ (scratches, dust, papers), old/ with review/REVIEW.csv (old photos and a verdict on each) and film/ (frames with
# masks of dust); RUN is the run folder, RELEASE the folder to write. The last two are minutes. Stopped, it goes on with the
# same command. All stages from nothing: infra/train-release.sh.
#
# From the environment: COMMAND (oldphoto), START (default; imagenet: a fresh detector), DEVICE (cpu), STEPS (in place of
# minutes: for a trial).
set -euo pipefail

# ---- For one core of two. What they gave: docs/experiments/detector-and-mending.md ----------------------------------
MINUTES=(35 90)
DETECTOR_OPTIONS="--lr 3e-4"
DETECTOR_SHARE=0.3333 # of what training changed: the rest forgets more than it learns
OPTIONS="--seed 0 --threads 1 --evaluate-every 500"
# ---------------------------------------------------------------------------------------------------------------------

if [ $# -ne 3 ] && [ $# -ne 5 ]; then
    echo "$0: expected 3 arguments, or 5 with minutes, found $#" >&2
    sed -n '2s/^# //p' "$0" >&2
    exit 2
fi
data=$1 run=$2 release=$3
if [ $# -eq 5 ]; then MINUTES=("${@:4:2}"); fi
command=${COMMAND:-oldphoto} start=${START:-default} parent=${START:-default}
if [ "$start" = imagenet ]; then parent=default DETECTOR_OPTIONS="" DETECTOR_SHARE=1; fi
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

train() { # stage, minutes, further options
    local stage=$1 budget="--minutes $2"
    if [ -n "${STEPS:-}" ]; then budget="--steps $STEPS"; fi
    shift 2
    # shellcheck disable=SC2086  # options are words
    $command train "$stage" --photos "$data/clean" --textures "$data/texture" --labelled "$run/material" --run "$run" \
        --device "${DEVICE:-cpu}" $budget $OPTIONS "$@"
}

$command train material "$run/material" --old "$data/old" --review "$data/review/REVIEW.csv" --film "$data/film"
# shellcheck disable=SC2086
train detector "${MINUTES[0]}" --start "$start" $DETECTOR_OPTIONS
train mender "${MINUTES[1]}" --start "$parent"
$command train release "$run" "$release" --last --parent "$parent" --detector-share "$DETECTOR_SHARE"
echo "Now judge it: $command evaluate --only real --release $release --photos $data/clean --old $data/old" \
    "--review $data/review/REVIEW.csv --film $data/film --out figures"
