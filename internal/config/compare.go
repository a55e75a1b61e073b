package config

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Changes is what a configuration that was read again has in another way than the
// one in use.
type Changes struct {
	// Restart names what a running process cannot take: keys, and merchants that
	// are gone.
	Restart []string
	// Credentials names the keys of passwords and certificates that are new.
	Credentials []string
	Added       []string // merchants
	Changed     []string // merchants
}

// None: both are the same.
func (c Changes) None() bool {
	return len(c.Restart)+len(c.Credentials)+len(c.Added)+len(c.Changed) == 0
}

// File is the configuration's file.
func (c *Config) File() string { return c.doc.file }

// live are the keys that a running process takes, beside the merchants.
var live = []string{
	"kafka.sasl.username", "kafka.sasl.password", "kafka.tls.cert_file", "kafka.tls.key_file",
	"redis.username", "redis.password", "redis.tls.cert_file", "redis.tls.key_file",
}

// Compare says what next has in another way. Secrets and the contents of files are
// compared as they were when each was read. A merchant that is gone, or that is
// now at another gateway or in another currency, needs a restart: its open refunds
// would be left behind.
func (c *Config) Compare(next *Config) Changes {
	var changes Changes
	compare(&changes, "", reflect.ValueOf(*c), reflect.ValueOf(*next))
	for _, tls := range []struct {
		path      string
		was, then TLS
	}{{"kafka.tls", c.Kafka.TLS, next.Kafka.TLS}, {"redis.tls", c.Redis.TLS, next.Redis.TLS}} {
		switch {
		case !tls.then.Enabled:
		case tls.was.authoritiesDigest != tls.then.authoritiesDigest:
			changes.Restart = append(changes.Restart, tls.path+".ca_file")
		case tls.was.digest != tls.then.digest:
			changes.Credentials = append(changes.Credentials, tls.path+".cert_file")
		}
	}
	added := map[string]*Merchant{} // all of next, less those that c has
	for i := range next.Merchants {
		added[next.Merchants[i].Name] = &next.Merchants[i]
	}
	for _, was := range c.Merchants {
		then := added[was.Name]
		delete(added, was.Name)
		if then == nil {
			changes.Restart = append(changes.Restart, "merchants: "+was.Name+" is gone")
			continue
		}
		switch {
		case was.Provider != then.Provider:
			changes.Restart = append(changes.Restart, then.path+".provider")
		case was.Currency != then.Currency || was.Exponent() != then.Exponent():
			changes.Restart = append(changes.Restart, then.path+".currency")
		case was.print != then.print:
			changes.Changed = append(changes.Changed, was.Name)
		}
	}
	for _, m := range next.Merchants {
		if added[m.Name] != nil {
			changes.Added = append(changes.Added, m.Name)
		}
	}
	slices.Sort(changes.Restart)
	changes.Restart = slices.Compact(changes.Restart)
	changes.Credentials = slices.Compact(changes.Credentials)
	return changes
}

// compare walks through the keys of both. Merchants are compared by name, above.
func compare(changes *Changes, path string, was, then reflect.Value) {
	if path == "merchants" {
		return
	}
	if was.Kind() == reflect.Struct {
		for i := range was.NumField() {
			f := was.Type().Field(i)
			if name, _, _ := strings.Cut(f.Tag.Get("yaml"), ","); name != "" && name != "-" {
				compare(changes, join(path, name), was.Field(i), then.Field(i))
			}
		}
		return
	}
	if reflect.DeepEqual(was.Interface(), then.Interface()) {
		return
	}
	if slices.Contains(live, path) {
		changes.Credentials = append(changes.Credentials, path)
	} else {
		changes.Restart = append(changes.Restart, path)
	}
}

// fingerprint is of all that a merchant is made of: its settings, its block with
// the references replaced, and the contents of the files that it names.
func (m *Merchant) fingerprint() [sha256.Size]byte {
	sum := sha256.New()
	plain := *m
	plain.doc, plain.path, plain.block, plain.collect = nil, "", nil, nil
	if m.CurrencyExponent != nil {
		fmt.Fprint(sum, *m.CurrencyExponent, " ")
		plain.CurrencyExponent = nil
	}
	fmt.Fprintf(sum, "%+v", plain)
	m.doc.sum(sum, "", m.block)
	return [sha256.Size]byte(sum.Sum(nil))
}

// sum writes a node, each part with its length.
func (d *document) sum(into hash.Hash, key string, n *node) {
	part := func(kind, text string) { fmt.Fprintf(into, "%s %d %s\n", kind, len(text), text) }
	part("key", key)
	if n == nil {
		return
	}
	switch n.kind {
	case scalar:
		text, err := d.expand(n.text)
		if err != nil { // told elsewhere
			text = n.text
		}
		part("value", text)
		if strings.HasSuffix(key, "_file") || strings.HasSuffix(key, "_files") {
			content, err := os.ReadFile(d.path(text))
			part("file", string(content))
			part("trouble", fmt.Sprint(err))
		}
	case mapping:
		for _, m := range n.members {
			d.sum(into, m.key, m.value)
		}
	case list:
		for _, item := range n.items {
			d.sum(into, key, item)
		}
	}
	part("end", n.kind.String())
}
