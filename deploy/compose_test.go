package deploy_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

const ours = "refundworker:local"

// project is docker-compose.yml as docker compose reads it, with all profiles.
func project(t *testing.T) *types.Project {
	t.Helper()
	file := filepath.Join(root, "docker-compose.yml")
	p, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: root, ConfigFiles: []types.ConfigFile{{Filename: file}}, Environment: types.Mapping{},
	}, loader.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// runsOnce says whether somebody waits for the service's end, or calls it by hand.
func runsOnce(p *types.Project, name string) bool {
	if slices.Contains(p.Services[name].Profiles, "tools") {
		return true
	}
	for _, other := range p.Services {
		if d, there := other.DependsOn[name]; there && d.Condition == types.ServiceConditionCompletedSuccessfully {
			return true
		}
	}
	return false
}

var pinned = regexp.MustCompile(`^[a-z./-]+:v?\d+\.\d+\.\d+[a-z0-9-]*(@sha256:[0-9a-f]{64})?$`)

func TestComposeServices(t *testing.T) {
	p := project(t)
	for _, want := range []string{"kafka", "redis", "topics", "worker", "bridge", "gateway-sim", "prometheus", "grafana", "refundctl"} {
		if _, there := p.Services[want]; !there {
			t.Errorf("no service %s", want)
		}
	}
	for name, s := range p.Services {
		t.Run(name, func(t *testing.T) {
			if s.Image == ours {
				oursIsHardened(t, s)
			} else if !pinned.MatchString(s.Image) {
				t.Errorf("image %s is not pinned", s.Image)
			}
			if once := runsOnce(p, name); once == (s.HealthCheck != nil) {
				t.Errorf("ends by itself: %v, health check: %v", once, s.HealthCheck != nil)
			}
			if h := s.HealthCheck; h != nil {
				if every := time.Duration(*h.Interval); every < time.Second || every > 2*time.Second {
					t.Errorf("health check each %s", every)
				}
			}
			for other, d := range s.DependsOn {
				if d.Condition == types.ServiceConditionHealthy && p.Services[other].HealthCheck == nil {
					t.Errorf("waits for the health of %s, which tells none", other)
				}
			}
			for _, v := range s.Volumes {
				if v.Type != types.VolumeTypeBind {
					continue
				}
				if info, err := os.Stat(v.Source); err != nil || info.IsDir() {
					t.Errorf("mounted file %s: %v", v.Source, err)
				}
			}
			for _, port := range s.Ports {
				if port.HostIP != "127.0.0.1" {
					t.Errorf("port %s is open to the network", port.Published)
				}
			}
		})
	}
}

// oursIsHardened checks a service that runs our image, which has no shell.
func oursIsHardened(t *testing.T, s types.ServiceConfig) {
	t.Helper()
	if s.Build == nil || !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		t.Error("not built here, or with more rights than it needs")
	}
	binary(t, s.Entrypoint[0])
	if h := s.HealthCheck; h != nil {
		if h.Test[0] != "CMD" {
			t.Errorf("health check %v: there is no shell in the image", h.Test)
		}
		binary(t, h.Test[1])
	}
}

// binary is the folder in cmd of a command in the image.
func binary(t *testing.T, path string) string {
	t.Helper()
	name, inside := strings.CutPrefix(path, "/usr/local/bin/")
	if !inside {
		t.Fatalf("%s is not in the image", path)
	}
	if _, err := os.Stat(filepath.Join(root, "cmd", name, "main.go")); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(read(t, root, "Dockerfile"), "./cmd/"+name) {
		t.Fatalf("the Dockerfile does not build %s", name)
	}
	return name
}

// A stop waits longer than the process may need to drain.
func TestComposeStopsGracefully(t *testing.T) {
	p := project(t)
	example := read(t, root, "config.example.yaml")
	mounted := read(t, "compose", "refundworker.yaml")
	for service, key := range map[string]string{"worker": "drain_timeout", "bridge": "timeout"} {
		if strings.Contains(mounted, key) {
			t.Errorf("compose/refundworker.yaml sets %s: this test looks at the default", key)
		}
		section := example[strings.Index(example, "\n"+service+":"):]
		found := regexp.MustCompile(`\n  ` + key + `: (\S+)`).FindStringSubmatch(section)
		if found == nil {
			t.Fatalf("no %s in config.example.yaml", key)
		}
		needs, err := time.ParseDuration(found[1])
		if err != nil {
			t.Fatal(err)
		}
		if grace := p.Services[service].StopGracePeriod; grace == nil || time.Duration(*grace) < needs+5*time.Second {
			t.Errorf("%s: stop_grace_period %v, needs more than %s", service, grace, needs)
		}
	}
}

func TestDockerfile(t *testing.T) {
	text := read(t, root, "Dockerfile")
	for what, pattern := range map[string]string{
		"a pinned compiler":           `(?m)^FROM golang:\d+\.\d+\.\d+-\w+ AS build$`,
		"a distroless base":           `(?m)^ARG RUNTIME=gcr\.io/distroless/static-debian12:nonroot$`,
		"no paths in binaries":        `go build -trimpath `,
		"the version that runs":       `-ldflags=-X=\S+/telemetry\.version=\$\{VERSION\}`,
		"no C":                        `CGO_ENABLED=0`,
		"a user by number":            `(?m)^USER 65532:65532$`,
		"the modules before the code": `(?s)COPY go\.mod go\.sum.*go mod download.*COPY \. \.`,
	} {
		if !regexp.MustCompile(pattern).MatchString(text) {
			t.Errorf("the Dockerfile has not: %s", what)
		}
	}
	if compiler := regexp.MustCompile(`golang:(\d+\.\d+)`).FindStringSubmatch(text)[1]; !strings.Contains(read(t, root, "go.mod"), "\ngo "+compiler) {
		t.Errorf("the Dockerfile compiles with Go %s, go.mod says otherwise", compiler)
	}
}
