// Package deploy_test checks what deploys the system: docker-compose.yml, the
// Prometheus rules, the Grafana dashboard and the Kubernetes manifests. It is a module
// of its own, so that what it checks with never reaches the product:
//
//	cd deploy && go test ./...                  # needs only Go; promtool where it is there
//	cd deploy && REAL_PARTS=1 go test ./...     # runs what the containers would run
package deploy_test

import (
	"os"
	"path/filepath"
	"testing"
)

// root is the repository.
const root = ".."

func read(t *testing.T, path ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
