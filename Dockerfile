# One image with all commands; compose and Kubernetes name the one to run. docker build --build-arg VERSION=1.0.0 names the
# version that refund_build_info and the traces show. Builds are reproducible: no paths, no C. Pin RUNTIME by digest where you build for production: distroless has no version tags.
ARG RUNTIME=gcr.io/distroless/static-debian12:nonroot

FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG VERSION
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    mkdir /keys && CGO_ENABLED=0 go build -trimpath -ldflags=-X=github.com/refundworker/refundworker/internal/telemetry.version=${VERSION} -o /out/ ./cmd/worker ./cmd/notify-bridge ./cmd/gateway-sim ./cmd/refundctl

FROM ${RUNTIME}
COPY --from=build /out/ /usr/local/bin/
COPY --from=build --chown=65532:65532 /keys /keys
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/worker"]
