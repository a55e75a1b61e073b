// Package config reads the one YAML file that worker, notify-bridge and refundctl
// share (DESIGN.md, section 5). It knows the domain's currencies and what a
// gateway package is given.
//
// It guarantees: a configuration that Load answers without an error keeps every
// rule that can be known without a network; otherwise all that is wrong is told
// at once, in the order of the file, each with its place and its line; no finding
// shows a secret.
package config

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"reflect"
	"time"
)

// Config is the whole file. Every field has the default of DESIGN.md, section 5,
// unless it is required.
type Config struct {
	Kafka     Kafka      `yaml:"kafka"`
	Redis     Redis      `yaml:"redis"`
	Worker    Worker     `yaml:"worker"`
	Bridge    Bridge     `yaml:"bridge"`
	Log       Log        `yaml:"log"`
	Tracing   Tracing    `yaml:"tracing"`
	Merchants []Merchant `yaml:"merchants" config:"required"`

	doc *document
}

// Kafka says where requests come from and events go to.
type Kafka struct {
	Brokers        []string      `yaml:"brokers" config:"required"` // host:port
	Group          string        `yaml:"group"`
	SessionTimeout time.Duration `yaml:"session_timeout"`
	OnOutOfRange   string        `yaml:"on_out_of_range"` // alarm or earliest
	TLS            TLS           `yaml:"tls"`
	SASL           SASL          `yaml:"sasl"`
	Topics         Topics        `yaml:"topics"`
	CreateTopics   CreateTopics  `yaml:"create_topics"`
}

// TLS of a connection. Files are absolute: they were resolved against the
// configuration's folder. CAFile empty means the system's roots.
type TLS struct {
	Enabled  bool   `yaml:"enabled"`
	CAFile   string `yaml:"ca_file"`
	CertFile string `yaml:"cert_file"`
	KeyFile  string `yaml:"key_file"`

	authorities *x509.CertPool
	certificate *tls.Certificate
	// Of the files' contents; all zero where there are none.
	authoritiesDigest, digest [sha256.Size]byte
}

// SASL is the brokers' user; Mechanism is empty, PLAIN, SCRAM-SHA-256 or
// SCRAM-SHA-512.
type SASL struct {
	Mechanism string `yaml:"mechanism"`
	Username  string `yaml:"username"`
	Password  string `yaml:"password"`
}

// Topics are the topics' names.
type Topics struct {
	Requests    string `yaml:"requests"`
	Status      string `yaml:"status"`
	DeadLetters string `yaml:"dead_letters"`
	DelayPrefix string `yaml:"delay_prefix"`
	Control     string `yaml:"control"`
	Audit       string `yaml:"audit"`
}

// CreateTopics lets the worker create topics that are missing.
type CreateTopics struct {
	Enabled     bool `yaml:"enabled"`
	Partitions  int  `yaml:"partitions"`
	Replication int  `yaml:"replication"`
}

// Redis says where the records are.
type Redis struct {
	Addrs         []string      `yaml:"addrs" config:"required"` // host:port; several mean a cluster
	Username      string        `yaml:"username"`
	Password      string        `yaml:"password"`
	TLS           TLS           `yaml:"tls"`
	KeyPrefix     string        `yaml:"key_prefix"`
	Retention     time.Duration `yaml:"retention"` // of a final refund's record
	FailoverGrace time.Duration `yaml:"failover_grace"`
}

// Worker is cmd/worker's own.
type Worker struct {
	Admin        string          `yaml:"admin"` // host:port of /metrics, /healthz, /readyz
	MaxInFlight  int             `yaml:"max_in_flight"`
	DrainTimeout time.Duration   `yaml:"drain_timeout"`
	ClaimLease   time.Duration   `yaml:"claim_lease"`
	ReviewAfter  time.Duration   `yaml:"review_after"`
	Delays       []time.Duration `yaml:"delays"` // ascending, whole seconds
}

// Bridge is cmd/notify-bridge's own.
type Bridge struct {
	Admin          string        `yaml:"admin"`
	Listen         string        `yaml:"listen"`
	MaxBody        Size          `yaml:"max_body"`
	Timeout        time.Duration `yaml:"timeout"`
	MaxConcurrent  int           `yaml:"max_concurrent"`
	MaxPerMerchant int           `yaml:"max_per_merchant"`
}

// Log is how to log: level trace, debug, info, warn or error, format json or
// console.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Tracing is where spans go (OTLP); empty: nowhere.
type Tracing struct {
	Endpoint string `yaml:"endpoint"`
}

func defaults() *Config {
	return &Config{
		Kafka: Kafka{
			Group: "refund-worker", SessionTimeout: 10 * time.Second, OnOutOfRange: "alarm",
			Topics: Topics{
				Requests: "refund.requests", Status: "refund.status", DeadLetters: "refund.requests.dlq",
				DelayPrefix: "refund.delay.", Control: "refund.control", Audit: "refund.audit",
			},
			CreateTopics: CreateTopics{Partitions: 12, Replication: 3},
		},
		Redis: Redis{KeyPrefix: "refund", Retention: 9600 * time.Hour, FailoverGrace: 15 * time.Second},
		Worker: Worker{
			Admin: "127.0.0.1:9464", MaxInFlight: 512, DrainTimeout: 15 * time.Second, ClaimLease: 30 * time.Second, ReviewAfter: 72 * time.Hour,
			Delays: []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 6 * time.Hour},
		},
		Bridge: Bridge{Admin: "127.0.0.1:9465", Listen: ":8080", MaxBody: 64 << 10, Timeout: 10 * time.Second, MaxConcurrent: 512, MaxPerMerchant: 128},
		Log:    Log{Level: "info", Format: "json"},
	}
}

// Option changes what Load does.
type Option func(*loading)

type loading struct {
	skip  bool
	check func(Merchant) error
}

// SkipEnvironment leaves references (${NAME}, ${file:PATH}) as they are and does
// not check what depends on them: for a check of the file where its secrets are
// not at hand. Such a configuration must not be run.
func SkipEnvironment() Option { return func(l *loading) { l.skip = true } }

// CheckMerchants has each merchant checked by its provider, by which the findings
// about its block are told together with all others. The check is called for
// merchants whose common settings are right. While it runs, what Account().Decode
// finds is noted and not answered, so that the provider looks at the rest of the
// block too; what the check made is to be thrown away.
func CheckMerchants(check func(Merchant) error) Option {
	return func(l *loading) { l.check = check }
}

// Load reads a configuration. What is wrong in it is a *Findings; a file that
// cannot be read is another error.
func Load(path string, options ...Option) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var l loading
	for _, option := range options {
		option(&l)
	}
	cfg := defaults()
	cfg.doc = newDocument(path, text, l.skip)
	if cfg.doc.root == nil {
		return nil, cfg.doc.result()
	}
	cfg.doc.decode("", cfg.doc.root, reflect.ValueOf(cfg).Elem())
	if k := cfg.doc.root.kind; k == mapping || k == null {
		cfg.check()
	}
	var errs []error
	if l.check != nil {
		errs = cfg.checkBlocks(l.check)
	}
	if err := Join(append(errs, cfg.doc.result())...); err != nil {
		return nil, err
	}
	return cfg, nil
}

// Path is the configuration file: the flag's value or else the environment's
// REFUND_CONFIG.
func Path(flag string) (string, error) {
	if flag != "" {
		return flag, nil
	}
	if path := os.Getenv("REFUND_CONFIG"); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("no configuration: give --config FILE or set REFUND_CONFIG")
}
