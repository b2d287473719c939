#!/usr/bin/env bash
# Seconds of whole scans by two versions of the package, in turn:
#   git archive ddfc935 src | tar x -C OLD
#   benchmarks/compare_versions.sh OLD/src src crystals.extxyz MultiFidelity
set -euo pipefail
old=$1 new=$2 source=$3 model=$4
export OMP_NUM_THREADS=1
for _ in 1 2; do
  for version in "$old" "$new"; do
    out=$(mktemp -d)
    start=$(date +%s.%N)
    PYTHONPATH=$version python -m paraisite.cli.main scan "$source" -o "$out/scan" -m "$model" > /dev/null 2>&1 || true
    echo "$version $model $(echo "$(date +%s.%N) - $start" | bc) s, $(grep -o '"rows": [0-9]*' "$out/scan/scan.json")"
    rm -rf "$out"
  done
done
