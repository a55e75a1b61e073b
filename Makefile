# The commands of this repository. Each installs by itself what it needs through
# Go's module cache; test-real says in one line what is missing.

GO ?= go
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

# The race detector needs a C compiler; without one the tests say so and run without it.
RACE := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)

.PHONY: test test-real lint bench tidy

test: ## everything on embedded parts; needs only Go
	@test -n "$(RACE)" || echo "no C compiler here: the tests run without the race detector"
	$(GO) test $(RACE) -timeout 10m ./...

lint: ## gofmt, vet, staticcheck, go.mod in order
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted (gofmt -w them):"; echo "$$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	$(GO) mod tidy -diff

tidy: ## format, and put go.mod in order
	gofmt -w .
	$(GO) mod tidy
