#!/usr/bin/env bash
# usage: infra/train-release.sh cpu|h200 PHOTOS OLD TEXTURES RUN RELEASE [LOOK DETECTOR MENDER VAES TRANSLATION]
#
# Trains the default release again from the data, one stage after the other, and packs it: PHOTOS are clean ones, OLD real
# old ones, TEXTURES scratches, dust and papers; RUN is the run folder, RELEASE the folder to write. The last five are
# minutes. Stopped, it goes on with the same command. What the stages do is told in docs/training.md.
#
# From the environment: COMMAND (oldphoto), PRESET (archive), STEPS (of each stage, in place of minutes: for a trial).
set -euo pipefail

# ---- The numbers of the default release -----------------------------------------------------------------------------
# minutes of each stage, and what else each is told
LOOK_OPTIONS=""
DETECTOR_OPTIONS=""
VAES_OPTIONS=""
TRANSLATION_OPTIONS=""
case "${1:-}" in
cpu) # two cores: a thread for the network, one for the synthesis
    MINUTES=(30 180 90 45 200)
    MACHINE_OPTIONS="--device cpu --threads 1"
    ;;
h200) # 25 minutes of one; bfloat16 and channels-last are how every stage trains. Not yet run on one.
    MINUTES=(1 5 3 4 12)
    MACHINE_OPTIONS="--device cuda --compile"
    LOOK_OPTIONS="$LOOK_OPTIONS --batch 256"
    DETECTOR_OPTIONS="$DETECTOR_OPTIONS --batch 64 --crop 256"
    VAES_OPTIONS="$VAES_OPTIONS --batch 64 --crop 192"
    TRANSLATION_OPTIONS="$TRANSLATION_OPTIONS --batch 64 --crop 96"
    ;;
*)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
# ---------------------------------------------------------------------------------------------------------------------

if [ $# -ne 6 ] && [ $# -ne 11 ]; then
    echo "$0: expected 6 arguments, or 11 with minutes, found $#" >&2
    sed -n '2s/^# //p' "$0" >&2
    exit 2
fi
photos=$2 old=$3 textures=$4 run=$5 release=$6
if [ $# -eq 11 ]; then MINUTES=("${@:7:5}"); fi
command=${COMMAND:-oldphoto}
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

train() { # stage, minutes, further options
    local stage=$1 budget="--minutes $2"
    if [ -n "${STEPS:-}" ]; then budget="--steps $STEPS"; fi
    shift 2
    # shellcheck disable=SC2086  # options are words
    $command train "$stage" --photos "$photos" --textures "$textures" --run "$run" --preset "${PRESET:-archive}" \
        $budget $MACHINE_OPTIONS "$@"
}

# shellcheck disable=SC2086
{
    train look "${MINUTES[0]}" $LOOK_OPTIONS
    train detector "${MINUTES[1]}" $DETECTOR_OPTIONS
    train mender "${MINUTES[2]}"
    train vaes "${MINUTES[3]}" --old "$old" $VAES_OPTIONS
    train translation "${MINUTES[4]}" $TRANSLATION_OPTIONS
}
$command train release "$run" "$release"
echo "Now judge it: $command evaluate --release $release --photos $photos --textures $textures --old $old --out figures"
