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
# A job runs the code of the checkout, which is mounted at /work; the copy that came with the packages serves where there is
# none (Kubernetes).
WORKDIR /work
