# nexusd writes only to /data, so the root file system can be read-only:
#
#   docker build -t nexusd .
#   docker run --read-only --cap-drop=ALL --security-opt=no-new-privileges -v nexus:/data -p 127.0.0.1:8080:8080 nexusd
#
# The first start creates the encryption key in /data. To store it separately, mount it as a file and set NEXUS_ENCRYPTION_KEY_FILE.

# It runs on the processor that builds: the last stage only copies, so no processor is emulated for another one's image.
FROM --platform=$BUILDPLATFORM node:26-bookworm-slim@sha256:2d49d876e96237d76de412761cf05dbfe5aee325cc4406a4d41d5824c5bb8beb AS build
# Copying a folder into the second stage keeps its owner and mode.
RUN mkdir -p /volume/data && chown 65532:65532 /volume/data && chmod 0700 /volume/data
WORKDIR /app
# No package needs an install script: native code is prebuilt.
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/ scripts/
COPY src/ src/
# `nexusd version` prints it: docker build --build-arg NEXUS_BUILD_COMMIT=$(git rev-parse HEAD) .
ARG NEXUS_BUILD_COMMIT
RUN npm run build
# amd64 or arm64, of the image.
ARG TARGETARCH
# Modes are the same whatever the umask of the checkout, and user 65532 may read all.
RUN node scripts/release/production.mjs "linux-$TARGETARCH" \
  && chmod -R u=rwX,go=rX package.json node_modules dist

# Node, its libraries and CA certificates: no shell, no package manager. User 65532.
# Without the platform, older versions of buildah take the base image of the processor that builds.
# hadolint ignore=DL3065
FROM --platform=$TARGETPLATFORM gcr.io/distroless/nodejs26-debian13:nonroot@sha256:10ec8cb93ef461563da50d4eb8dfac7d048783826825bf5b07510c2f34c14315
LABEL org.opencontainers.image.title="nexusd" \
  org.opencontainers.image.description="The daemon that stands beside an agent and keeps its credentials alive" \
  org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build --chown=65532:65532 /volume/ /
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules/ node_modules/
COPY --from=build /app/dist/ dist/
# Only the browser listener leaves the container's loopback, in plain text behind a TLS proxy (NEXUS_INSECURE). To let it serve TLS itself, set
# NEXUS_TLS_CERT_FILE and NEXUS_TLS_KEY_FILE. The other listeners are on loopback, which the containers of a pod share, and at /data/nexus.sock.
ENV NODE_ENV=production \
  NEXUS_DATA_DIR=/data \
  NEXUS_BROWSER_LISTEN=0.0.0.0:8080 \
  NEXUS_INSECURE=browser
VOLUME /data
EXPOSE 8080
USER 65532:65532
# Calls /readyz of the ops listener, without a shell.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["/nodejs/bin/node", "/app/dist/main.js", "health"]
ENTRYPOINT ["/nodejs/bin/node", "/app/dist/main.js"]
CMD ["serve"]
