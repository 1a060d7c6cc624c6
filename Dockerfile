# Both services from one file: `--build-arg BIN=resource-service` picks the other one. Needs BuildKit. There is no `syntax`
# line on purpose: it would fetch a frontend, and the one inside every engine since 20.10 is enough.

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# What `--version` says it was built of: `--build-arg COMMIT="$(git rev-parse --short=12 HEAD)"`.
ARG COMMIT=
# One build for both binaries: whichever image is asked for, the dependencies are compiled once, and the second image finds
# this step done. The caches live outside the layers, so a changed source file recompiles our own crates and nothing else.
# Hence the `touch`: cargo goes by file times, and would take another checkout's later build for one of these older files.
# `--target` looks redundant; it keeps crt-static away from build scripts and proc macros, which can't be static.
RUN --mount=type=cache,id=countermark-registry,sharing=locked,target=/usr/local/cargo/registry \
    --mount=type=cache,id=countermark-target,sharing=locked,target=/src/target \
    find . -path ./target -prune -o -type f -exec touch {} + && \
    target="$(rustc -vV | sed -n 's/^host: //p')" && \
    RUSTFLAGS="-C target-feature=+crt-static" COUNTERMARK_COMMIT="$COMMIT" \
    cargo build --locked --release --target "$target" --package auth-service --package resource-service --bins && \
    install -D --target-directory=/out \
        "target/$target/release/auth-service" "target/$target/release/resource-service"

# The whole root file system of the image, laid out where there is still a shell.
FROM build AS layout
ARG BIN=auth-service
ARG USER_ID=10001
# `/service` is one name for either binary, since ENTRYPOINT and HEALTHCHECK expand no ARG; the real name is on PATH for
# `docker exec`. The CA bundle is for an issuer behind TLS. A static glibc has `files` and `dns` built in and no
# configuration to tell it the order. A new named volume takes owner and mode of the directory that it is mounted on, which
# is how a process without root gets to write there; the group is shared, so that one service can leave a file for another.
RUN install -D "/out/$BIN" "/image/usr/bin/$BIN" && \
    ln -s "usr/bin/$BIN" /image/service && \
    install -D --mode=0644 --target-directory=/image/etc/ssl/certs /etc/ssl/certs/ca-certificates.crt && \
    echo "hosts: files dns" > /image/etc/nsswitch.conf && \
    install -d --mode=0750 --owner="$USER_ID" --group=10001 /image/data /image/secrets

FROM scratch
ARG USER_ID=10001
COPY --from=layout /image/ /
# A number, not a name: there is no passwd file, and an orchestrator can see that it isn't root.
USER ${USER_ID}:10001
# Relative paths in the default configuration (`data/auth.db`) thus land in /data.
WORKDIR /
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["/service", "healthcheck"]
ENTRYPOINT ["/service"]
