#!/bin/bash
# One search on as many nodes as the array is long: sbatch nas/workers/cluster/slurm.sh. Every task runs the very same line, which
# joins the study in the PostgreSQL database, and a task that is requeued joins it anew.
# NAS_STORAGE names the database, without its password, which is better kept in ~/.pgpass than on a command line:
#   export NAS_STORAGE=postgresql+psycopg://user@server/nas
#SBATCH --job-name=shufflenet-nas
#SBATCH --array=0-7
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=2
#SBATCH --exclusive
#SBATCH --time=04:00:00
#SBATCH --signal=INT@180
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=shufflenet-nas-%a.log
# --exclusive, since workers keep to cores of their own, counted from the node's first, and latency is measured on them.
# --signal is a Ctrl-C three minutes before the end: the task then writes its front; --time below ends before even that.
set -euo pipefail

: "${NAS_STORAGE:?name the PostgreSQL database, such as postgresql+psycopg://user@server/nas}"
study="${NAS_STUDY:-140mflops-fashion-mnist-12k}"

srun python -m nas.run \
  --budget "${NAS_BUDGET:-140mflops}" \
  --data "${NAS_DATA:-fashion-mnist-12k}" \
  --storage "$NAS_STORAGE" \
  --study "$study" \
  --resume \
  --workers "${SLURM_CPUS_PER_TASK:-2}" \
  --time "${NAS_TIME:-3.8h}" \
  --out "runs/$study/task-${SLURM_ARRAY_TASK_ID:-0}"
