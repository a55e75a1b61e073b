package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// api/openapi.yaml is OpenAPI.
func TestOpenAPI(t *testing.T) {
	loader := openapi3.NewLoader()
	loader.IsExternalRefsAllowed = true
	doc, err := loader.LoadFromFile("../api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
		t.Error(err)
	}
}

// api/asyncapi.yaml is AsyncAPI, by the schema that its authors publish.
func TestAsyncAPI(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(asyncAPISpecs(t), "package", "schemas", "3.0.0-without-$id.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.YAMLToJSON([]byte(read(t, root, "api", "asyncapi.yaml")))
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(doc); err != nil {
		t.Error(err)
	}
}

// asyncAPISpecs is the folder of the pinned package, fetched by npm once; where that
// cannot be, the test is skipped.
func asyncAPISpecs(t *testing.T) string {
	t.Helper()
	const version = "6.11.1"
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Skip("skipped: ", err)
	}
	folder := filepath.Join(cache, "refundworker", "asyncapi-specs-"+version)
	if _, err := os.Stat(filepath.Join(folder, "package", "schemas")); err == nil {
		return folder
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"npm", "pack", "--silent", "@asyncapi/specs@" + version},
		{"tar", "xzf", "asyncapi-specs-" + version + ".tgz"},
	} {
		command := exec.Command(args[0], args[1:]...)
		command.Dir = folder
		if out, err := command.CombinedOutput(); err != nil {
			t.Skipf("skipped: AsyncAPI's own schema cannot be fetched: %v: %v %s", args, err, out)
		}
	}
	return folder
}
