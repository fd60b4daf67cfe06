# What a job needs, at the versions of constraints.txt; the checkout itself is mounted (docs/cluster.md).
#   docker build -t plumbline .
#   docker build -t plumbline --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu .     without CUDA
FROM python:3.11-slim
ARG TORCH_INDEX=""
WORKDIR /opt/plumbline
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY src src
RUN test -z "$TORCH_INDEX" || pip install --no-cache-dir -c constraints.txt --index-url "$TORCH_INDEX" torch
RUN pip install --no-cache-dir -c constraints.txt '.[minilm,slurm]'
# A job's code is the mounted checkout's (rules/common.smk), not the copy that was installed with the packages.
RUN pip uninstall -y plumbline && rm -rf /opt/plumbline
WORKDIR /work
