# The runner in a container: see docs/runner-in-container.md.
#
#     docker build --tag outrider .
#
# Both images must be of the same release of Debian: the program uses its C library.
ARG BUILD_IMAGE=rust:1.90-bookworm
ARG RUNTIME_IMAGE=debian:bookworm-slim

# All but the program. Checkouts are made with git and ssh; the certificates are for the server's.
FROM ${RUNTIME_IMAGE} AS runtime
ARG PACKAGES="ca-certificates git openssh-client"
RUN if [ -n "$PACKAGES" ]; then \
        apt-get update \
        && apt-get install --yes --no-install-recommends $PACKAGES \
        && rm -rf /var/lib/apt/lists/*; \
    fi
RUN useradd --uid 10001 --create-home --home-dir /var/lib/outrider --shell /usr/sbin/nologin outrider
LABEL org.opencontainers.image.title="Outrider" \
      org.opencontainers.image.licenses="Apache-2.0"
# Jobs are containers beside this one. None may be a process in it: the Engine's socket is here.
ENV HOME=/var/lib/outrider OUTRIDER_EXECUTOR=docker
USER outrider
WORKDIR /var/lib/outrider
# What was not delivered yet outlives a restart of the container, and goes with it.
VOLUME /var/lib/outrider
ENTRYPOINT ["outrider"]
CMD ["runner", "start"]

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked --package outrider

FROM runtime
COPY --from=build /src/target/release/outrider /usr/local/bin/outrider
