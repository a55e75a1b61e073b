package config

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// BenchmarkLoadManyMerchants shows what a large file costs: to read it, and what of
// it stays.
func BenchmarkLoadManyMerchants(b *testing.B) {
	var text strings.Builder
	text.WriteString(head)
	for i := range 10_000 {
		fmt.Fprintf(&text, "- {name: M%05d, provider: eftpay, base_url: https://gateway.example/VMP, currency: HKD, rate: 200, eftpay: {user_confirm_key: M%05[1]d, secret: secret-of-M%05[1]d}}\n", i)
	}
	file := b.TempDir() + "/config.yaml"
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	var cfg *Config
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if cfg, err = Load(file, CheckMerchants(build)); err != nil {
			b.Fatal(err)
		}
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "MB-kept")
	b.ReportMetric(float64(m.Sys)/1e6, "MB-taken")
	runtime.KeepAlive(cfg)
}
