package refundworker_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/refundworker/refundworker/"

// arrows says for each package which packages of this module it may know, itself
// and what those know included: the arrows point inwards. A package that is not
// listed fails the test: say here what it may know before it is written.
var arrows = map[string][]string{
	"internal/refund":    {},
	"internal/events":    {"internal/refund"},
	"internal/kafka":     {},
	"internal/consumer":  {"internal/kafka"},
	"internal/dedupe":    {"internal/refund"},
	"internal/bridge":    {"internal/refund"},
	"internal/audit":     {"internal/refund"},
	"internal/statuslog": {"internal/kafka", "internal/events", "internal/refund"},
	"internal/admin":     {},
	"internal/telemetry": {"internal/refund"},

	"internal/providers/account":   {"internal/refund"},
	"internal/providers/transport": {"internal/refund", "internal/providers/account"},
	"internal/providers/eftpay":    {"internal/refund", "internal/providers/account", "internal/providers/transport"},
	"internal/providers/bluepay":   {"internal/refund", "internal/providers/account", "internal/providers/transport"},
	"internal/providers": {"internal/refund", "internal/providers/account", "internal/providers/transport",
		"internal/providers/eftpay", "internal/providers/bluepay"},
	"internal/config": {"internal/refund", "internal/providers/account"},

	"internal/gatewaysim": {},
}

// outer packages wire or test the others and may know them all; nobody but they
// themselves may know them.
var outer = []string{"api", "cmd", "sandbox", "internal/app", "internal/sandbox", "internal/ctl", "internal/chaos", "internal/explorer", "internal/scenario", "internal/realparts"}

func outside(path string) bool {
	return path+"/" == module || strings.HasSuffix(path, "test") || path == "internal/dedupe/memstore" ||
		slices.ContainsFunc(outer, func(one string) bool { return path == one || strings.HasPrefix(path, one+"/") })
}

// product is linked into worker and notify-bridge; nothing that simulates is.
var product = []string{"cmd/worker", "cmd/notify-bridge", "internal/app"}

// simulations are never part of the product.
var simulations = []string{
	module + "internal/gatewaysim", "github.com/twmb/franz-go", "github.com/alicebob/miniredis", "testing",
}

// owners are third parties that one package alone may import.
var owners = map[string]string{
	"github.com/segmentio/kafka-go": "internal/kafka",
	"github.com/redis/go-redis":     "internal/dedupe",
	"github.com/sony/gobreaker":     "internal/providers",
	"github.com/goccy/go-yaml":      "internal/config",
	"go.opentelemetry.io/otel":      "internal/telemetry",
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		p.ImportPath = strings.TrimPrefix(p.ImportPath, module)
		all = append(all, p)
	}
}

func TestArrowsPointInwards(t *testing.T) {
	for _, p := range packages(t) {
		allowed, known := arrows[p.ImportPath]
		if !known && !outside(p.ImportPath) {
			t.Errorf("%s is not in the map of arrows: say which packages it may know", p.ImportPath)
		}
		for _, dep := range p.Deps {
			inner, ours := strings.CutPrefix(dep, module)
			if ours && known && !slices.Contains(allowed, inner) {
				t.Errorf("%s knows %s (perhaps through others): the arrows point inwards", p.ImportPath, inner)
			}
		}
	}
}

func TestThirdPartiesHaveOneOwner(t *testing.T) {
	for _, p := range packages(t) {
		for _, imported := range p.Imports {
			for party, owner := range owners {
				if strings.HasPrefix(imported, party) && p.ImportPath != owner && !strings.HasPrefix(p.ImportPath, owner+"/") {
					t.Errorf("%s imports %s: only %s may", p.ImportPath, imported, owner)
				}
			}
		}
	}
}

func TestNothingSimulatedIsInTheProduct(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		if !slices.Contains(product, p.ImportPath) {
			continue
		}
		seen++
		for _, dep := range p.Deps {
			for _, simulation := range simulations {
				if dep == simulation || strings.HasPrefix(dep, simulation+"/") {
					t.Errorf("%s links %s", p.ImportPath, dep)
				}
			}
		}
	}
	if seen != len(product) {
		t.Errorf("found %d of %v", seen, product)
	}
}
