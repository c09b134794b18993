# Everything the daemon writes goes to /data, so the root file system can be read-only:
#
#   docker build -t nexusd .
#   docker run --read-only --cap-drop=ALL --security-opt=no-new-privileges -v nexus:/data -p 127.0.0.1:8080:8080 nexusd
#
# The sealing key is made in /data on first start. To keep it apart from the data it seals, mount it as a file and set
# NEXUS_ENCRYPTION_KEY_FILE.

FROM node:26-bookworm-slim@sha256:2d49d876e96237d76de412761cf05dbfe5aee325cc4406a4d41d5824c5bb8beb AS build
# A folder of its own keeps owner and mode when it is copied into the second stage.
RUN mkdir -p /volume/data && chown 65532:65532 /volume/data && chmod 0700 /volume/data
WORKDIR /app
# Nothing here needs an install script: native code comes as prebuilt packages.
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/ scripts/
COPY src/ src/
# `nexusd version` prints it: docker build --build-arg NEXUS_BUILD_COMMIT=$(git rev-parse HEAD) .
ARG NEXUS_BUILD_COMMIT
RUN npm run build \
  && npm ci --omit=dev --ignore-scripts --no-audit --no-fund

# Node, its libraries and CA certificates: no shell, no package manager. User 65532.
FROM gcr.io/distroless/nodejs26-debian13:nonroot@sha256:10ec8cb93ef461563da50d4eb8dfac7d048783826825bf5b07510c2f34c14315
LABEL org.opencontainers.image.title="nexusd" \
  org.opencontainers.image.description="The daemon that stands beside an agent and keeps its credentials alive" \
  org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build --chown=65532:65532 /volume/ /
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules/ node_modules/
COPY --from=build /app/dist/ dist/
# The browser listener is made to face the world and is of no use on a container's loopback. The other listeners stay where they
# are by default: loopback, which the containers of one pod share, and the socket /data/nexus.sock. It speaks plain text to
# the proxy with TLS that stands before it, which NEXUS_INSECURE admits for this listener alone; with NEXUS_TLS_CERT_FILE and
# NEXUS_TLS_KEY_FILE it speaks TLS itself.
ENV NODE_ENV=production \
  NEXUS_DATA_DIR=/data \
  NEXUS_BROWSER_LISTEN=0.0.0.0:8080 \
  NEXUS_INSECURE=browser
VOLUME /data
EXPOSE 8080
USER 65532:65532
# Asks the ops listener for /readyz from inside, without a shell.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["/nodejs/bin/node", "/app/dist/main.js", "health"]
ENTRYPOINT ["/nodejs/bin/node", "/app/dist/main.js"]
CMD ["serve"]
