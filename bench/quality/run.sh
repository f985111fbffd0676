#!/bin/sh
# Answers N prompts of each family in 16 processes, waits at most SECS seconds, leaves partial results.
#
#   run.sh MODEL OUT FAMILIES N SECS          FAMILIES as "ar_wp1_50,ret_pass"
#
# JS: what runs a module, "deno run -A" by default. PROCESSES: 16 by default. A second run goes on.
set -u
here=$(cd "$(dirname "$0")" && pwd)
model=$1 out=$2 families=$3 n=$4 secs=$5
count=${PROCESSES:-16}
mkdir -p "$out/log"
pids=
i=0
while [ "$i" -lt "$count" ]; do
  # A process ends by itself after SECS, at the next prompt; timeout is for one that is in a prompt.
  timeout "$secs" ${JS:-deno run -A} "$here/quality.mjs" --model "$model" --out "$out" \
    --families "$families" --n "$n" --slice "$i/$count" --seconds "$secs" ${MORE:-} \
    >>"$out/log/$i.txt" 2>&1 &
  pids="$pids $!"
  i=$((i + 1))
done
for pid in $pids; do wait "$pid" || true; done
for family in $(echo "$families" | tr ',' ' '); do
  done=$(cat "$out"/log/*.txt | grep -c "^$family [0-9]")
  echo "$family: $done of $n prompts"
done
grep -h -v "^[a-z0-9_]* [0-9]*: " "$out"/log/*.txt | sort | uniq -c | sort -rn | head -5 || true
