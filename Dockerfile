# One image with all commands; compose and Kubernetes name the one to run.
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN mkdir /keys && CGO_ENABLED=0 go build -trimpath -ldflags=-buildid= -o /out/ ./cmd/worker ./cmd/notify-bridge ./cmd/gateway-sim ./cmd/refundctl

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/ /usr/local/bin/
COPY --from=build --chown=nonroot:nonroot /keys /keys
USER nonroot:nonroot
ENTRYPOINT ["/usr/local/bin/worker"]
