package deploy_test

import (
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/kedacore/keda/v2/version" // its module has the ScaledObject's definition
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/santhosh-tekuri/jsonschema/v6"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/refundworker/refundworker/internal/realparts"
)

var update = flag.Bool("update", false, "write kubernetes/prometheusrule.yaml anew from prometheus/rules.yml")

// kinds are what manifests may hold, and what each is read into: a field that its API
// does not have is an error.
var kinds = map[string]func() any{
	"v1 ConfigMap": func() any { return &core.ConfigMap{} }, "v1 Service": func() any { return &core.Service{} },
	"v1 ServiceAccount":                       func() any { return &core.ServiceAccount{} },
	"apps/v1 Deployment":                      func() any { return &apps.Deployment{} },
	"policy/v1 PodDisruptionBudget":           func() any { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return &networking.NetworkPolicy{} },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
	"keda.sh/v1alpha1 ScaledObject":           func() any { return &map[string]any{} },
}

// manifests are all objects of a kind, by name.
func manifests[T any](t *testing.T) map[string]T {
	t.Helper()
	all := map[string]T{}
	for _, text := range documents(t) {
		var head struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
		}
		if err := yaml.Unmarshal(text, &head); err != nil {
			t.Fatal(err)
		}
		into, known := kinds[head.APIVersion+" "+head.Kind]
		if !known {
			t.Errorf("nobody checks a %s %s", head.APIVersion, head.Kind)
			continue
		}
		object := into()
		if err := yaml.UnmarshalStrict(text, object); err != nil {
			t.Errorf("%s %s: %v", head.Kind, head.Metadata.Name, err)
		}
		if one, is := object.(T); is {
			all[head.Metadata.Name] = one
		}
	}
	return all
}

// documents are the objects that kubectl apply -k applies.
func documents(t *testing.T) (all [][]byte) {
	t.Helper()
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), "kubernetes")
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range built.Resources() {
		text, err := object.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, text)
	}
	return all
}

// Every manifest is applied.
func TestKustomizationIsComplete(t *testing.T) {
	var kustomization struct{ Resources []string }
	if err := yaml.Unmarshal([]byte(read(t, "kubernetes", "kustomization.yaml")), &kustomization); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("kubernetes/*.yaml")
	if err != nil || len(files) != len(kustomization.Resources)+1 {
		t.Errorf("%d files for %d resources: %v", len(files), len(kustomization.Resources), err)
	}
}

// Each pod may do what it does, and nothing else: the policies choose the pods that
// they are written for.
func TestPoliciesChoosePods(t *testing.T) {
	chosen := map[string][]string{}
	for name, p := range manifests[*networking.NetworkPolicy](t) {
		for app, d := range manifests[*apps.Deployment](t) {
			selector, err := meta.LabelSelectorAsSelector(&p.Spec.PodSelector)
			if err != nil {
				t.Fatal(err)
			}
			if selector.Matches(labels.Set(d.Spec.Template.Labels)) {
				chosen[name] = append(chosen[name], app)
			}
		}
		slices.Sort(chosen[name])
	}
	both := []string{"refund-bridge", "refund-worker"}
	want := map[string][]string{"refund-deny-all": both, "refund-parts": both, "refund-worker": {"refund-worker"}, "refund-bridge": {"refund-bridge"}}
	if !maps.EqualFunc(chosen, want, slices.Equal) {
		t.Errorf("the policies choose %v, not %v", chosen, want)
	}
}

func TestDeployments(t *testing.T) {
	config := manifests[*core.ConfigMap](t)["refundworker"].Data["refundworker.yaml"]
	budgets := manifests[*policy.PodDisruptionBudget](t)
	accounts := manifests[*core.ServiceAccount](t)
	deployments := manifests[*apps.Deployment](t)
	if len(deployments) != 2 {
		t.Fatalf("%d deployments", len(deployments))
	}
	for name, drain := range map[string]time.Duration{"refund-worker": 15 * time.Second, "refund-bridge": 10*time.Second + 5*time.Second} {
		t.Run(name, func(t *testing.T) {
			d := deployments[name]
			pod := d.Spec.Template.Spec
			container := pod.Containers[0]
			if strings.Contains(config, "drain_timeout") || strings.Contains(config, "\n  timeout:") {
				t.Error("the configuration sets a time that this test has as its default")
			}
			if p := container.Lifecycle; p != nil && p.PreStop != nil {
				drain += time.Duration(p.PreStop.Sleep.Seconds) * time.Second
			}
			if grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second; grace < drain+10*time.Second {
				t.Errorf("%s to end, and it may take %s", grace, drain)
			}
			s, own := pod.SecurityContext, container.SecurityContext
			if !*s.RunAsNonRoot || *s.RunAsUser == 0 || s.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault || *own.AllowPrivilegeEscalation ||
				!*own.ReadOnlyRootFilesystem || !slices.Equal(own.Capabilities.Drop, []core.Capability{"ALL"}) || *pod.AutomountServiceAccountToken {
				t.Error("more rights than it needs")
			}
			if container.LivenessProbe.HTTPGet.Path != "/healthz" || container.ReadinessProbe.HTTPGet.Path != "/readyz" {
				t.Error("/healthz says whether to restart, /readyz whether it can work")
			}
			if container.Resources.Requests.Cpu().IsZero() || container.Resources.Requests.Memory().IsZero() || container.Resources.Limits.Memory().IsZero() {
				t.Error("no requests, or no limit of memory")
			}
			soft := slices.IndexFunc(container.Env, func(e core.EnvVar) bool { return e.Name == "GOMEMLIMIT" })
			if limit, err := resource.ParseQuantity(strings.TrimSuffix(container.Env[max(0, soft)].Value, "B")); soft < 0 || err != nil ||
				limit.Value() > container.Resources.Limits.Memory().Value()*9/10 {
				t.Errorf("GOMEMLIMIT is not at most nine tenths of the limit: %v", err)
			}
			if accounts[pod.ServiceAccountName] == nil {
				t.Errorf("no service account %s", pod.ServiceAccountName)
			}
			binary(t, container.Command[0])
			if v := pod.Volumes[1].Secret; v == nil || v.SecretName != name || !slices.Contains(container.Env, core.EnvVar{Name: "REFUND_PRINCIPAL", Value: name}) {
				t.Error("worker and bridge are principals of their own")
			}
			labels := d.Spec.Template.Labels["app.kubernetes.io/name"]
			if b := budgets[name]; labels != name || d.Spec.Selector.MatchLabels["app.kubernetes.io/name"] != name ||
				b == nil || b.Spec.Selector.MatchLabels["app.kubernetes.io/name"] != name {
				t.Error("deployment and disruption budget choose other pods")
			}
			if u := d.Spec.Strategy.RollingUpdate; u.MaxUnavailable.IntValue() != 0 {
				t.Error("a rolling update takes a pod away before its successor is ready")
			}
		})
	}
}

// A port by name is a port of the pods that it is about.
func TestPortsHaveNames(t *testing.T) {
	ports := map[string][]string{}
	for name, d := range manifests[*apps.Deployment](t) {
		for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
			ports[name] = append(ports[name], p.Name)
		}
	}
	for name, s := range manifests[*core.Service](t) {
		app := s.Spec.Selector["app.kubernetes.io/name"]
		for _, p := range s.Spec.Ports {
			if !slices.Contains(ports[app], p.TargetPort.StrVal) {
				t.Errorf("service %s: %s has no port %s", name, app, p.TargetPort.StrVal)
			}
		}
	}
	services := manifests[*core.Service](t)
	for name, m := range manifests[*monitoring.ServiceMonitor](t) {
		found := 0
		for _, s := range services {
			matches := true
			for k, v := range m.Spec.Selector.MatchLabels {
				matches = matches && s.Labels[k] == v
			}
			if matches && s.Labels[m.Spec.JobLabel] == name && slices.ContainsFunc(s.Spec.Ports, func(p core.ServicePort) bool { return p.Name == m.Spec.Endpoints[0].Port }) {
				found++
			}
		}
		if found != 1 {
			t.Errorf("service monitor %s finds %d services", name, found)
		}
	}
	for name, p := range manifests[*networking.NetworkPolicy](t) {
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				for app, names := range ports {
					about := p.Spec.PodSelector.MatchLabels["app.kubernetes.io/name"]
					if (about == "" || about == app) && !slices.Contains(names, port.Port.StrVal) {
						t.Errorf("policy %s: %s has no port %s", name, app, port.Port.StrVal)
					}
				}
			}
		}
	}
}

// The configuration of the manifests is one that the system takes.
func TestConfigurationOfTheManifests(t *testing.T) {
	dir := t.TempDir()
	config := manifests[*core.ConfigMap](t)["refundworker"].Data["refundworker.yaml"]
	secure, err := realparts.NewSecure("refundworker", "secret")
	if err != nil {
		t.Fatal(err)
	}
	keys := filepath.Join(root, "cmd", "refundctl", "internal", "ctl", "testdata")
	for name, text := range map[string]string{
		"refundworker.yaml": strings.ReplaceAll(config, "/etc/refundworker/secrets", dir), "ca.pem": string(secure.CA),
		"bluepay-merchant.pem": read(t, keys, "merchant.pem"), "bluepay-gateway.pem": read(t, keys, "gateway.pub.pem"),
		"kafka-password": "a", "redis-password": "b", "eftpay-secret": "c",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command("go", "run", "./cmd/refundctl", "config", "check", filepath.Join(dir, "refundworker.yaml"))
	command.Dir = root
	command.Env = append(os.Environ(), "REFUND_PRINCIPAL=refund-worker")
	if out, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// Workers are scaled by what is due, within the partitions that there are.
func TestScaledObject(t *testing.T) {
	all := manifests[*map[string]any](t)
	object := *all["refund-worker"]
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/kedacore/keda/v2").Output()
	if err != nil {
		t.Fatal(err)
	}
	var definition struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema map[string]any `json:"openAPIV3Schema"`
				}
			}
		}
	}
	file := filepath.Join(strings.TrimSpace(string(out)), "config", "crd", "bases", "keda.sh_scaledobjects.yaml")
	if err := yaml.Unmarshal([]byte(read(t, file)), &definition); err != nil {
		t.Fatal(err)
	}
	closed := definition.Spec.Versions[0].Schema.OpenAPIV3Schema
	forbidUnknown(closed)
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("crd.json", closed); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("crd.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(object); err != nil {
		t.Error(err)
	}
	spec := object["spec"].(map[string]any)
	trigger := spec["triggers"].([]any)[0].(map[string]any)["metadata"].(map[string]any)
	if !strings.Contains(read(t, "prometheus", "rules.test.yml"), "{expr: '"+trigger["query"].(string)+"'") {
		t.Error("prometheus/rules.test.yml does not try this query in an outage")
	}
	for _, metric := range metricsOf(t, trigger["query"].(string)) {
		if metric != "refund:due_records:sum" && metric != "refund_part_errors_total" && metric != "refund_rebuilding_merchants" {
			t.Errorf("scaled by %s: only what is due may add workers", metric)
		}
	}
	if spec["maxReplicaCount"] != float64(12) || !strings.Contains(read(t, "kubernetes", "config.yaml"), "partitions: 12") {
		t.Error("more workers than partitions, or fewer")
	}
}

// forbidUnknown closes all objects of a definition, as the API server does; what they
// have beside the schema's own fields are those of every object.
func forbidUnknown(schema map[string]any) {
	if properties, ok := schema["properties"].(map[string]any); ok && schema["additionalProperties"] == nil {
		if _, open := schema["x-kubernetes-preserve-unknown-fields"]; !open {
			if _, isMetadata := properties["metadata"]; isMetadata {
				properties["metadata"] = map[string]any{}
			}
			schema["additionalProperties"] = false
		}
	}
	for _, v := range schema {
		switch v := v.(type) {
		case map[string]any:
			forbidUnknown(v)
		case []any:
			for _, one := range v {
				if o, ok := one.(map[string]any); ok {
					forbidUnknown(o)
				}
			}
		}
	}
}

// The operator's rules are those of rules.yml.
func TestPrometheusRule(t *testing.T) {
	text := read(t, "prometheus", "rules.yml")
	_, groups, _ := strings.Cut(text, "\ngroups:\n")
	want := "# Written from prometheus/rules.yml: go test -run PrometheusRule -update\napiVersion: monitoring.coreos.com/v1\nkind: PrometheusRule\n" +
		"metadata: {name: refundworker}\nspec:\n  groups:\n" + strings.ReplaceAll(strings.ReplaceAll("\n"+strings.TrimSuffix(groups, "\n"), "\n", "\n  "), "\n  \n", "\n\n")[1:] + "\n"
	if *update {
		if err := os.WriteFile("kubernetes/prometheusrule.yaml", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, "kubernetes", "prometheusrule.yaml") != want {
		t.Error("kubernetes/prometheusrule.yaml differs from prometheus/rules.yml: go test -run PrometheusRule -update")
	}
	rule := manifests[*monitoring.PrometheusRule](t)["refundworker"]
	count := 0
	for _, g := range rule.Spec.Groups {
		count += len(g.Rules)
	}
	if count != len(ruleFile(t).rules()) {
		t.Errorf("%d rules of %d", count, len(ruleFile(t).rules()))
	}
}
