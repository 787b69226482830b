#!/usr/bin/env bash
# Stop what up.sh started. Usage: down.sh DIRECTORY
state=$1
for file in "$state/node.pid" "$state/controller.pid" "$state/munge/pid"; do
  [ -s "$file" ] && kill "$(cat "$file")"
done
exit 0
