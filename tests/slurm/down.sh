#!/usr/bin/env bash
# Stop what up.sh started, and wait until it has. Usage: down.sh DIRECTORY
state=$1
for file in "$state/node.pid" "$state/controller.pid" "$state/munge/pid"; do
  [ -s "$file" ] || continue
  pid=$(cat "$file")
  kill "$pid" 2> /dev/null || continue
  for _ in $(seq 50); do
    kill -0 "$pid" 2> /dev/null || break
    sleep 0.1
  done
done
exit 0
