# Meridian, as one image for all of its processes: gateway, replicator and commands.
#
#   docker build -t meridian .
#   docker build -t meridian --target with-foundationdb --build-arg FOUNDATIONDB=7.3.77 .
#
# The second has FoundationDB's client library too, which must be of the cluster's version, for `--metadata foundationdb`.
ARG FOUNDATIONDB=7.3.77

FROM node:24-bookworm-slim AS dependencies
WORKDIR /meridian
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim AS meridian
WORKDIR /meridian
COPY --from=dependencies /meridian/node_modules node_modules
COPY package.json ./
COPY bin bin
COPY src src
COPY gateway gateway
COPY replicator replicator
# What `docker exec` and `kubectl exec` run: meridian regions list. It replaces itself, so that signals reach the server.
RUN printf '#!/bin/sh\nexec node --disable-warning=ExperimentalWarning /meridian/bin/meridian.ts "$@"\n' > /usr/local/bin/meridian \
  && chmod 755 /usr/local/bin/meridian
# A volume that is mounted here first gets these directories' owner: the server is nobody special.
RUN mkdir /data /shared && chown 1000:1000 /data /shared
# `node` of the base image, by its number: Kubernetes cannot see of a name that it is not root.
USER 1000:1000
VOLUME /data
# S3, S3 over TLS, other regions, metrics and health.
EXPOSE 9000 9443 9100 9200
# As bin/launch.mjs has it: fsyncs on a slow disk must not hold all of Node's threads.
ENV NODE_ENV=production UV_THREADPOOL_SIZE=16
ENTRYPOINT ["meridian"]
CMD ["serve", "--host", "::", "--data", "/data"]

FROM foundationdb/foundationdb:${FOUNDATIONDB} AS foundationdb

FROM meridian AS with-foundationdb
COPY --from=foundationdb /usr/lib/libfdb_c.so /usr/lib/libfdb_c.so

# Last, so that it is what is built where no target is named.
FROM meridian
