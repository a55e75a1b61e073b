package flame

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
)

func TestBoxesShowTheirShare(t *testing.T) {
	caller := &profile.Function{ID: 1, Name: "example.com/x/refund.(*Handler).Handle"}
	a, b := &profile.Function{ID: 2, Name: "runtime.mallocgc"}, &profile.Function{ID: 3, Name: "net/http.(*Transport).RoundTrip"}
	at := func(id uint64, f *profile.Function) *profile.Location {
		return &profile.Location{ID: id, Line: []profile.Line{{Function: f}}}
	}
	below, one, other := at(1, caller), at(2, a), at(3, b)
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "cpu", Unit: "nanoseconds"}},
		Function:   []*profile.Function{caller, a, b}, Location: []*profile.Location{below, one, other},
		Sample: []*profile.Sample{
			{Value: []int64{30}, Location: []*profile.Location{one, below}},
			{Value: []int64{10}, Location: []*profile.Location{other, below}},
		},
	}
	var packed, svg bytes.Buffer
	if err := p.Write(&packed); err != nil {
		t.Fatal(err)
	}
	if err := Draw(&svg, &packed, "a <title>"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"refund.(*Handler).Handle 100.0%", "runtime.mallocgc 75.0%", "http.(*Transport).RoundTrip 25.0%", "a &lt;title&gt;"} {
		if !strings.Contains(svg.String(), want) {
			t.Errorf("no %q in %s", want, svg.String())
		}
	}
	if err := Draw(&svg, strings.NewReader("no profile"), ""); err == nil {
		t.Error("what is no profile is drawn")
	}
}
