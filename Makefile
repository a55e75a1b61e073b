# The commands of this repository. Each installs by itself what it needs through
# Go's module cache; test-real says in one line what is missing.

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK = golang.org/x/vuln/cmd/govulncheck@v1.9.0

# The race detector needs a C compiler; without one the tests say so and run without it.
RACE := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)

.PHONY: build test test-real test-deploy chaos soak lint bench bench-micro bench-regress vuln tidy

build: ## the commands into bin/, without the paths of this machine in them
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

test: ## everything on embedded parts; needs only Go
	@test -n "$(RACE)" || echo "no C compiler here: the tests run without the race detector"
	$(GO) test $(RACE) -timeout 10m $$($(GO) list ./... | grep -v -e internal/explorer -e internal/scenario)
	@echo "the crash explorer and the outages run without the race detector: ten times as many schedules in the same time, and delays that are told from its cost"
	$(GO) test -timeout 10m ./internal/explorer ./internal/scenario

# The Apache Kafka that test-real and chaos start; 3.9.2 is the oldest that is tested.
KAFKA ?= 4.3.1
export KAFKA

# exec: what make ends must not be a shell alone, or the rest would go on.
WITH = exec $(GO) run ./internal/realparts/with

# The suites that run on the parts that KAFKA_BROKERS, REDIS_ADDR and REDIS_CLUSTER_ADDRS name.
SUITES = ./internal/kafka ./internal/consumer ./internal/dedupe/... ./internal/statuslog

# SHORT=1 leaves out what takes minutes and is seldom touched: outages on real parts, everybody with just their rights.
test-real: ## the same suites, the binaries, failovers and a chaos run, on a real Kafka and Redis; needs Java, Maven, redis-server
	@$(WITH) -check
	$(WITH) -kafka $(KAFKA) -brokers 1 -redis -cluster -- $(GO) test $(RACE) -count=1 -timeout 8m $(SUITES)
	$(if $(SHORT),,$(WITH) -kafka $(KAFKA) -brokers 1 -redis -- $(GO) test -count=1 -timeout 5m ./internal/scenario)
	$(WITH) -kafka $(KAFKA) -brokers 1 -restarts -- $(GO) test $(RACE) -count=1 -timeout 3m -run OverABrokersRestart ./internal/kafka
	REAL_PARTS=1 $(WITH) -- $(GO) test $(RACE) -count=1 -p 1 -timeout 15m $(if $(SHORT),-short) ./internal/realparts ./internal/chaos
	@$(MAKE) --no-print-directory chaos CHAOS_SECONDS=$(or $(CHAOS_SECONDS),60)

test-deploy: ## compose, rules, dashboard, manifests and contracts, and what the containers would run, as processes; the same needs, and prometheus
	@$(WITH) -check
	cd deploy && $(GO) vet ./... && REAL_PARTS=1 $(GO) test -count=1 -timeout 15m ./...

chaos: ## kill -9, pauses, wipes and a bad gateway for CHAOS_SECONDS (300) from CHAOS_SEED, on real parts, then the audit
	@$(WITH) -check
	exec $(GO) run ./internal/chaos/run

soak: ## restarts one after another under load, then SOAK_SECONDS (1800) of 90 refunds a second in which nothing may grow, then the audit
	@$(WITH) -check
	CHAOS_SECONDS=$(or $(SOAK_SECONDS),1800) CHAOS_ORDERS=$(or $(CHAOS_ORDERS),30) exec $(GO) run ./internal/chaos/run soak

lint: ## gofmt, vet, staticcheck, go.mod in order
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted (gofmt -w them):"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

# What make bench runs: BENCH=short takes some minutes; BENCH_FLAGS narrow it, as in -only gateway-20ms (-list names the cells).
BENCH_SHORT = -rounds 1 -warm 1s -window 3s -samples 100
BENCH_OUT ?= bench/results

bench: ## the comparison table: the worker beside the floor and its peers, on a real Kafka and Redis; BENCH=short for minutes
	@$(WITH) -check
	cd bench && $(GO) build -o ../bin/bench .
	cd bench && exec ../bin/bench -kafka $(KAFKA) -out $(abspath $(BENCH_OUT)) $(if $(filter short,$(BENCH)),$(BENCH_SHORT)) $(BENCH_FLAGS)

vuln: ## known vulnerabilities in what the commands call; asks vuln.go.dev, which must be reachable
	$(GO) run $(GOVULNCHECK) ./...

# The micro-benchmarks that need no part but Go: their names, and where they are.
MICRO = ^Benchmark(Decode.*|Encode.*|Restore.*|Sign|Verify|Lanes|Watermark|Mask.*)?$$
MICRO_IN = ./internal/events ./internal/providers/eftpay ./internal/dedupe ./internal/consumer ./internal/telemetry

bench-micro: ## micro-benchmarks for benchstat: decode, sign, verify, claim, record, watermark, lanes
	$(GO) test -run '^$$' -bench '$(MICRO)' -benchmem -count $(or $(COUNT),6) $(MICRO_IN)

bench-regress: ## the micro-benchmarks beside those of BASE (HEAD): exit 1 where allocations or paired CPU grew
	cd bench && $(GO) run ./regress -base $(or $(BASE),HEAD) -bench '$(MICRO)' $(MICRO_IN)

tidy: ## format, and put go.mod in order, deploy's too
	gofmt -w .
	$(GO) mod tidy
	cd deploy && $(GO) mod tidy
