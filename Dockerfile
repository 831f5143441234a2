# Meridian, as one image for all of its processes: gateway, replicator and commands.
FROM node:24-bookworm-slim AS dependencies
WORKDIR /meridian
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --no-audit --no-fund

FROM node:24-bookworm-slim AS embedded
WORKDIR /meridian
COPY --from=dependencies /meridian/node_modules node_modules
COPY package.json ./
COPY bin bin
COPY src src
COPY gateway gateway
COPY replicator replicator
# A volume that is mounted here first gets these directories' owner: the server is nobody special.
RUN mkdir /data /shared && chown node:node /data /shared
USER node
VOLUME /data
# S3, other regions, metrics and health.
EXPOSE 9000 9100 9200
# As bin/launch.mjs has it: fsyncs on a slow disk must not hold all of Node's threads.
ENV NODE_ENV=production UV_THREADPOOL_SIZE=16
ENTRYPOINT ["node", "--disable-warning=ExperimentalWarning", "bin/meridian.ts"]
CMD ["serve", "--host", "::", "--data", "/data"]

# With `--target foundationdb`: beside it the client library of FoundationDB, of the cluster's version. It is not in the image otherwise.
FROM foundationdb/foundationdb:7.3.77 AS client
FROM embedded AS foundationdb
COPY --from=client /usr/lib/libfdb_c.so /usr/lib/libfdb_c.so

FROM embedded
