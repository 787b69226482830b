#!/usr/bin/env bash
# Start Slurm with this machine as its only node, for tests in a container: as root, without systemd, with all of its
# state below one directory. Usage: up.sh DIRECTORY. Needs Debian's or Ubuntu's slurm-wlm and munge.
set -euo pipefail
state=$1
host=$(hostname -s)
memory=$(awk '/^MemTotal/ { print int($2 / 1024 * 0.9) }' /proc/meminfo)
mkdir -p "$state"/{controller,node,log} "$state/munge"
chmod 755 "$state"

# munge wants its directories to be its own, and a key that nobody else can read
head -c 1024 /dev/urandom > "$state/munge/key"
chown -R munge: "$state/munge"
chmod 700 "$state/munge"
chmod 400 "$state/munge/key"
mkdir -p /run/munge
chown munge: /run/munge
chmod 755 /run/munge
runuser -u munge -- munged --key-file="$state/munge/key" --pid-file="$state/munge/pid" \
  --log-file="$state/munge/log" --seed-file="$state/munge/seed"

cat > "$state/slurm.conf" << CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
StateSaveLocation=$state/controller
SlurmdSpoolDir=$state/node
SlurmctldPidFile=$state/controller.pid
SlurmdPidFile=$state/node.pid
SlurmctldLogFile=$state/log/controller
SlurmdLogFile=$state/log/node
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc --all) RealMemory=$memory State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF=$state/slurm.conf
slurmctld
slurmd
for _ in $(seq 100); do
  [ "$(sinfo --noheader --format=%T 2> /dev/null)" = idle ] && exit 0
  sleep 0.2
done
echo "Slurm's node did not come up within 20 s; see $state/log." >&2
exit 1
