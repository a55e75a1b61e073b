package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

type rules struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

type rule struct {
	Alert, Record, Expr, For string
	Labels, Annotations      map[string]string
}

func (r rules) rules() (all []rule) {
	for _, g := range r.Groups {
		all = append(all, g.Rules...)
	}
	return all
}

func ruleFile(t *testing.T) (r rules) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(read(t, "prometheus", "rules.yml")), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

type panels struct {
	Panels []panel
}

type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y int }
	Targets []struct{ RefID, Expr string }
}

func (p panels) all() []panel { return p.Panels }

func dashboard(t *testing.T) (p panels) {
	t.Helper()
	if err := json.Unmarshal([]byte(read(t, "grafana", "refundworker.json")), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// forPrometheus is a query of the dashboard as Grafana asks it, with all of each
// variable.
func forPrometheus(query string) string {
	return strings.NewReplacer("$provider", ".*", "$merchant", ".*", "$__rate_interval", "1m").Replace(query)
}

var promQL = parser.NewParser(parser.Options{})

// metricsOf are the metrics that a query names; it must be one.
func metricsOf(t *testing.T, query string) (all []string) {
	t.Helper()
	expr, err := promQL.ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return nil
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			all = append(all, s.Name)
		}
		return nil
	})
	return all
}

// labelsOf are the labels by which a query chooses and groups, of the metric.
func labelsOf(t *testing.T, query string) (all map[string][]string) {
	t.Helper()
	all = map[string][]string{}
	expr, err := promQL.ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v", query, err)
		return nil
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			for _, m := range s.LabelMatchers {
				if m.Name != "__name__" {
					all[s.Name] = append(all[s.Name], m.Name)
				}
			}
		}
		return nil
	})
	return all
}

var metricRow = regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| (\\w+) \\|.*\\| ([^|]*) \\|$")

// documented are the metrics of docs/metrics.md, which is written from the code: name
// to labels. Histograms have their three series.
func documented(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{"up": {"job"}, "ALERTS": {"alertname", "alertstate"},
		"process_resident_memory_bytes": {"job"}, "go_goroutines": {"job"}, "process_cpu_seconds_total": {"job"}}
	for _, row := range metricRow.FindAllStringSubmatch(read(t, root, "docs", "metrics.md"), -1) {
		var labels []string
		for _, label := range regexp.MustCompile("`([a-z_]+)`:").FindAllStringSubmatch(row[3], -1) {
			labels = append(labels, label[1])
		}
		if row[2] == "histogram" {
			all[row[1]+"_bucket"] = append(slices.Clone(labels), "le")
			all[row[1]+"_sum"], all[row[1]+"_count"] = labels, labels
		} else {
			all[row[1]] = labels
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d series in docs/metrics.md: its form has changed", len(all))
	}
	for _, r := range ruleFile(t).rules() {
		if r.Record != "" {
			all[r.Record] = []string{"topic", "provider", "kind", "class"}
		}
	}
	return all
}

// queries are all that rules, dashboard and the scaler ask.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, r := range ruleFile(t).rules() {
		all["rule "+r.Alert+r.Record] = r.Expr
	}
	for _, p := range dashboard(t).all() {
		for _, target := range p.Targets {
			all["panel "+p.Title+" "+target.RefID] = forPrometheus(target.Expr)
		}
	}
	return all
}

// Whatever is asked for exists, with the labels by which it is chosen.
func TestQueriesNameMetricsThatExist(t *testing.T) {
	known := documented(t)
	used := map[string]bool{}
	for where, query := range queries(t) {
		for _, metric := range metricsOf(t, query) {
			if _, there := known[metric]; !there {
				t.Errorf("%s: no metric %s", where, metric)
			}
			used[metric] = true
		}
		for metric, labels := range labelsOf(t, query) {
			for _, label := range labels {
				if !slices.Contains(known[metric], label) && label != "job" && label != "instance" {
					t.Errorf("%s: %s has no label %s, only %v", where, metric, label, known[metric])
				}
			}
		}
	}
	for metric := range known { // what is measured is shown somewhere
		base := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(metric, "_bucket"), "_sum"), "_count")
		if strings.HasPrefix(metric, "refund_") && !used[metric] && !used[base+"_bucket"] && !used[base+"_sum"] && !used[base+"_count"] && !slices.Contains(notShown, metric) {
			t.Errorf("%s is in no rule and on no panel", metric)
		}
	}
}

// notShown are metrics for a closer look than a dashboard's.
var notShown = []string{"refund_rebuild_restored_records_total", "refund_rebuild_open_records_total",
	"refund_rebuild_duration_seconds_bucket", "refund_rebuild_duration_seconds_sum", "refund_rebuild_duration_seconds_count"}

// Each alert has a severity, words, and a page that says what to do.
func TestAlertsHavePages(t *testing.T) {
	pages := map[string]bool{}
	for _, r := range ruleFile(t).rules() {
		if r.Alert == "" {
			continue
		}
		if s := r.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("%s: severity %q", r.Alert, s)
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
			t.Errorf("%s says nothing", r.Alert)
		}
		name := r.Alert + ".md"
		if !strings.HasSuffix(r.Annotations["runbook_url"], "/docs/runbooks/"+name) {
			t.Errorf("%s: runbook_url %s", r.Alert, r.Annotations["runbook_url"])
		}
		pages[name] = true
		page, err := os.ReadFile(filepath.Join(root, "docs", "runbooks", name))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, heading := range []string{"# " + r.Alert, "## What it means", "## What to look at", "## What to do", "## Is money at risk?"} {
			if !strings.Contains(string(page), heading+"\n") {
				t.Errorf("%s has no %q", name, heading)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(root, "docs", "runbooks", "Refund*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if !pages[filepath.Base(file)] {
			t.Errorf("%s is about no alert", file)
		}
	}
	if index, err := os.ReadFile(filepath.Join(root, "docs", "runbooks", "README.md")); err != nil {
		t.Error(err)
	} else {
		for name := range pages {
			if !strings.Contains(string(index), "("+name+")") {
				t.Errorf("docs/runbooks/README.md does not name %s", name)
			}
		}
	}
}

// Each alert fires where it should, and is quiet where it should be.
func TestRulesFire(t *testing.T) {
	tests := read(t, "prometheus", "rules.test.yml")
	for _, r := range ruleFile(t).rules() {
		if r.Alert != "" && strings.Count(tests, `ALERTS{alertname="`+r.Alert+`"`) < 2 {
			t.Errorf("%s: rules.test.yml has no two cases of it", r.Alert)
		}
	}
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("skipped: promtool is not here (Debian: apt-get install prometheus)")
	}
	for _, args := range [][]string{{"check", "rules", "rules.yml"}, {"test", "rules", "rules.test.yml"}} {
		command := exec.Command(promtool, args...)
		command.Dir = "prometheus"
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	command := exec.Command(promtool, "check", "config", "--syntax-only", "prometheus.yml")
	command.Dir = "compose"
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("promtool check config: %v\n%s", err, out)
	}
}

// Panels have their own ids and places, and lie within the page.
func TestDashboard(t *testing.T) {
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range dashboard(t).all() {
		if ids[p.ID] {
			t.Errorf("panel id %d twice", p.ID)
		}
		ids[p.ID] = true
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %s asks nothing", p.Title)
		}
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %s is wider than the page", p.Title)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Errorf("panel %s lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
	for _, file := range []string{"datasources.yml", "dashboards.yml"} {
		var any map[string]any
		if err := yaml.UnmarshalStrict([]byte(read(t, "grafana", file)), &any); err != nil {
			t.Error(err)
		}
	}
	if !strings.Contains(read(t, root, "docker-compose.yml"), "./deploy/grafana/refundworker.json:/var/lib/grafana/dashboards/refundworker.json") ||
		!strings.Contains(read(t, "grafana", "dashboards.yml"), "/var/lib/grafana/dashboards") {
		t.Error("the dashboard is not where Grafana looks for it")
	}
}
