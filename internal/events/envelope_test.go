package events

import (
	"slices"
	"strings"
	"testing"
)

// The examples of the CloudEvents Kafka protocol binding 1.0 (sections 3.2.5 and
// 3.3.4) and of the attributes' table of the specification, by their kind: what is
// an event of our type once its type is ours, and what the rest is.
func TestEnvelopeAsInTheCloudEventsSpecification(t *testing.T) {
	const example = "com.example.someevent"
	binaryExample := headers("ce_specversion", "1.0", "ce_type", example, "ce_source", "/mycontext/subcontext", "ce_id", "1234-1234-1234",
		"ce_time", "2018-04-05T03:56:24Z", "content-type", "application/json; charset=utf-8")
	structuredExample := `{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext/subcontext","id":"1234-1234-1234",
		"time":"2018-04-05T03:56:24Z","datacontenttype":"application/json","data":{"application":"data"}}`
	// from the JSON event format: an extension that is no string, and a null attribute
	extended := `{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","subject":null,"id":"C234-1234-1234",
		"time":"2018-04-05T17:31:00Z","comexampleextension1":"value","comexampleothervalue":5,"datacontenttype":"application/json",
		"data":{"appinfoA":"abc","appinfoB":123,"appinfoC":true}}`
	media := func(m string) []Header { return headers("content-type", m) }

	for name, test := range map[string]struct {
		value   string
		headers []Header
		data    string // or
		err     string
	}{
		"binary":                     {`{"application":"data"}`, binaryExample, `{"application":"data"}`, ""},
		"structured":                 {structuredExample, media("application/cloudevents+json; charset=UTF-8"), `{"application":"data"}`, ""},
		"structured, capital":        {structuredExample, media("Application/CloudEvents+JSON"), `{"application":"data"}`, ""},
		"structured, extensions":     {extended, media("application/cloudevents+json"), `{"appinfoA":"abc","appinfoB":123,"appinfoC":true}`, ""},
		"structured, no datacontent": {strings.Replace(structuredExample, `"datacontenttype":"application/json",`, "", 1), media("application/cloudevents+json"), `{"application":"data"}`, ""},
		"structured over binary":     {structuredExample, slices.Concat(binaryExample, media("application/cloudevents+json")), `{"application":"data"}`, ""},
		"base64": {`{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","id":"D","data_base64":"eyJ4bWwiOiJ0aGlzIn0="}`,
			media("application/cloudevents+json"), `{"xml":"this"}`, ""},
		"neither":     {`{"application":"data"}`, nil, `{"application":"data"}`, ""},
		"XML data":    {`<much wow="xml"/>`, slices.Concat(binaryExample, media("application/xml")), "", "no JSON"},
		"batched":     {"[" + structuredExample + "]", media("application/cloudevents-batch+json"), "", "only application/cloudevents+json"},
		"Avro":        {"\x01", media("application/cloudevents+avro"), "", "only application/cloudevents+json"},
		"version 0.3": {strings.Replace(structuredExample, "1.0", "0.3", 1), media("application/cloudevents+json"), "", "specversion"},
	} {
		t.Run(name, func(t *testing.T) {
			env, err := open([]byte(test.value), test.headers, example)
			if test.err != "" {
				if err == nil || err.Reason != Undecodable || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || env.data != test.data {
				t.Errorf("got %q, %v; want %q", env.data, err, test.data)
			}
		})
	}
}

func TestAsKeepsHeaders(t *testing.T) {
	type other struct {
		Key   string
		Value []byte
	}
	got := As[Header](As[other](binary("a", "b")))
	if header(got, "a") != "b" || len(got) != 6 {
		t.Errorf("got %v", got)
	}
}
