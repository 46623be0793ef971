# Pointsman in a container. The configuration is mounted at /etc/pointsman/pointsman.toml, what the
# program keeps at /var/lib/pointsman; docs/operations.md has the line to run it with.
FROM rust:1-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release --bin pointsman

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --user-group --home-dir /var/lib/pointsman --uid 10001 pointsman \
    && install -d -o pointsman -g pointsman -m 0755 /run/pointsman \
    && install -d -o pointsman -g pointsman -m 0700 /var/lib/pointsman \
    && echo 'service = []' | install -o pointsman -g pointsman -m 0600 /dev/stdin \
        /var/lib/pointsman/services.toml
COPY --from=build /src/target/release/pointsman /usr/bin/pointsman
USER pointsman
# The latter is where `docker exec NAME pointsman …` looks for it.
ENV STATE_DIRECTORY=/var/lib/pointsman RUNTIME_DIRECTORY=/run/pointsman
VOLUME /var/lib/pointsman
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/pointsman"]
CMD ["run", "/etc/pointsman/pointsman.toml"]
