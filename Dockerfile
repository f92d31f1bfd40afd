# syntax=docker/dockerfile:1

# The server, built in an image with Rust and run in one with little more than a C library: no shell, no package manager,
# no root.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
# The caches outlive the layer, so that a change of one crate does not build all of them again.
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked --package cloudm-server \
    && cp target/release/cloudm-server /cloudm-server \
    # What the embedded store is given when a volume is mounted there: an empty directory of the user's own.
    && mkdir /data

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /cloudm-server /usr/local/bin/cloudm-server
COPY --from=build --chown=65532:65532 /data /data
# In a container, the loopback is nobody else's.
ENV CLOUDM__HTTP__BIND=0.0.0.0:8080 \
    CLOUDM__STORE__PATH=/data
USER 65532:65532
VOLUME ["/data"]
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["/usr/local/bin/cloudm-server", "healthcheck"]
# As process 1 it gets SIGTERM itself, and ends within eight seconds.
ENTRYPOINT ["/usr/local/bin/cloudm-server"]
