package deploy_test

import (
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
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
