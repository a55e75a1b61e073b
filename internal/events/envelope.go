package events

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/refundworker/refundworker/internal/refund"
)

// envelope is what a CloudEvent, or bare JSON, says around its data.
type envelope struct {
	data  string // JSON, not yet read unless structured
	trace refund.Trace
}

// attributes that the CloudEvents specification requires, in the order in which
// they are looked at.
var requiredAttributes = [...]string{"specversion", "type", "id", "source"}

// open finds the data of a message: of a CloudEvent of the wanted type in binary
// or structured mode (told apart as the Kafka binding says, by the content type),
// or of bare JSON, which is a message without those attributes.
func open(value []byte, headers []Header, wantType string) (envelope, *Error) {
	if value == nil {
		return envelope{}, undecodable("no value (a tombstone)")
	}
	doc := string(value)
	if !utf8.ValidString(doc) {
		return envelope{}, undecodable("not UTF-8")
	}
	media := mediaType(headers)
	if strings.HasPrefix(media, "application/cloudevents") {
		return openStructured(doc, media, headers, wantType)
	}
	attribute := func(name string) string { return header(headers, "ce_"+name) }
	bare := true
	for _, name := range requiredAttributes {
		bare = bare && attribute(name) == ""
	}
	if !bare {
		if err := checkAttributes(attribute, wantType); err != nil {
			return envelope{}, err
		}
		if !isJSON(media) {
			return envelope{}, undecodable("no JSON: the content type says otherwise")
		}
	}
	return envelope{data: doc, trace: traceOf(headers, nil)}, nil
}

// openStructured reads an event in the JSON event format.
func openStructured(doc, media string, headers []Header, wantType string) (envelope, *Error) {
	if media != "application/cloudevents+json" {
		return envelope{}, undecodable("no CloudEvent that can be read: of the structured formats only application/cloudevents+json")
	}
	attributes := map[string]string{}
	var data, encoded string
	s := scanner{doc: doc}
	if s.peek() != kindObject {
		return envelope{}, undecodable("no CloudEvent: not a JSON object")
	}
	err := s.object(func(key string) error {
		k := s.peek()
		if k == kindString && key != "data" {
			text, err := s.text()
			if key == "data_base64" {
				encoded = text
			} else {
				attributes[key] = text
			}
			return err
		}
		from := s.pos
		err := s.skip()
		if key == "data" && k != kindNull {
			data = s.doc[from:s.pos]
		}
		return err
	})
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return envelope{}, undecodable("no readable JSON: %v", err)
	}
	attribute := func(name string) string { return attributes[name] }
	if err := checkAttributes(attribute, wantType); err != nil {
		return envelope{}, err
	}
	if !isJSON(baseMedia(attributes["datacontenttype"])) {
		return envelope{}, undecodable("no JSON: datacontenttype says otherwise")
	}
	if encoded != "" {
		if data != "" {
			return envelope{}, undecodable("no CloudEvent: data and data_base64")
		}
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || !utf8.Valid(raw) {
			return envelope{}, undecodable("no CloudEvent: data_base64 is no Base64 of UTF-8")
		}
		data = string(raw)
	}
	return envelope{data: data, trace: traceOf(headers, attributes)}, nil
}

func checkAttributes(attribute func(name string) string, wantType string) *Error {
	for _, name := range requiredAttributes {
		if attribute(name) == "" {
			return undecodable("no CloudEvent: %s is missing", name)
		}
	}
	if attribute("specversion") != "1.0" {
		return undecodable("no CloudEvent of specversion 1.0")
	}
	if attribute("type") != wantType {
		return undecodable("no CloudEvent of type %s", wantType)
	}
	return nil
}

func mediaType(headers []Header) string {
	for i := len(headers) - 1; i >= 0; i-- {
		if strings.EqualFold(headers[i].Key, HeaderContentType) {
			return baseMedia(string(headers[i].Value))
		}
	}
	return ""
}

// baseMedia is a content type without its parameters.
func baseMedia(contentType string) string {
	base, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(base))
}

// isJSON says whether data of this content type is JSON; none given means JSON.
func isJSON(media string) bool {
	return media == "" || strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}

// traceOf finds the trace context: the transport's own headers before the
// attributes of the CloudEvents distributed tracing extension, which name where a
// trace began. What cannot be a trace context is not carried on.
func traceOf(headers []Header, attributes map[string]string) refund.Trace {
	find := func(name string, most int) string {
		for _, v := range [...]string{header(headers, name), header(headers, "ce_"+name), attributes[name]} {
			if v != "" && len(v) <= most && printable(v) {
				return v
			}
		}
		return ""
	}
	trace := refund.Trace{Parent: find(HeaderTraceParent, 128)}
	if trace.Parent != "" {
		trace.State = find(HeaderTraceState, 1024)
	}
	return trace
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
