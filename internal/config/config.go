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
	Kafka     Kafka      `yaml:"kafka"`                       // where requests come from and events go to
	Redis     Redis      `yaml:"redis"`                       // where the records of refunds are
	Worker    Worker     `yaml:"worker"`                      // the worker's own
	Bridge    Bridge     `yaml:"bridge"`                      // notify-bridge's own
	Log       Log        `yaml:"log"`                         // how to log
	Tracing   Tracing    `yaml:"tracing"`                     // where traces go
	Merchants []Merchant `yaml:"merchants" config:"required"` // at least one: requests of a merchant that is not here become dead letters

	doc *document
}

// Kafka says where requests come from and events go to.
type Kafka struct {
	Brokers        []string      `yaml:"brokers" config:"required"` // host:port of one or more brokers
	Group          string        `yaml:"group"`                     // consumer group of the workers
	SessionTimeout time.Duration `yaml:"session_timeout"`           // a worker without a sign of life for so long loses its partitions; at most worker.claim_lease
	OnOutOfRange   string        `yaml:"on_out_of_range"`           // when messages were deleted before they were read: alarm (stop there) or earliest (go on)
	TLS            TLS           `yaml:"tls"`                       // TLS to the brokers
	SASL           SASL          `yaml:"sasl"`                      // the user at the brokers
	Topics         Topics        `yaml:"topics"`                    // names of the topics
	CreateTopics   CreateTopics  `yaml:"create_topics"`             // create what is missing at a start
}

// TLS of a connection. Files are absolute: they were resolved against the
// configuration's folder. CAFile empty means the system's roots.
type TLS struct {
	Enabled  bool   `yaml:"enabled"`   // connect by TLS, 1.2 at least
	CAFile   string `yaml:"ca_file"`   // PEM of the authorities that are trusted; empty: the system's
	CertFile string `yaml:"cert_file"` // PEM of the client certificate, for mutual TLS; with key_file
	KeyFile  string `yaml:"key_file"`  // PEM of its key, not encrypted

	authorities *x509.CertPool
	certificate *tls.Certificate
	// Of the files' contents; all zero where there are none.
	authoritiesDigest, digest [sha256.Size]byte
}

// SASL is the brokers' user; Mechanism is empty, PLAIN, SCRAM-SHA-256 or
// SCRAM-SHA-512.
type SASL struct {
	Mechanism string `yaml:"mechanism"` // empty (no SASL), PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512
	Username  string `yaml:"username"`  // needed with a mechanism
	Password  string `yaml:"password"`  // for example "${KAFKA_PASSWORD}" or "${file:/run/secrets/kafka}"
}

// Topics are the topics' names.
type Topics struct {
	Requests    string `yaml:"requests"`     // requests of refunds
	Status      string `yaml:"status"`       // status events; compacted: the journal from which Redis is rebuilt
	DeadLetters string `yaml:"dead_letters"` // what is no valid request
	DelayPrefix string `yaml:"delay_prefix"` // of the delay topics; one of worker.delays follows
	Control     string `yaml:"control"`      // holds, and the merchants' names; compacted
	Audit       string `yaml:"audit"`        // what operators did
}

// CreateTopics lets the worker create topics that are missing.
type CreateTopics struct {
	Enabled     bool `yaml:"enabled"`     // create them, with the settings that this system needs
	Partitions  int  `yaml:"partitions"`  // of requests and status
	Replication int  `yaml:"replication"` // of all
}

// Redis says where the records are.
type Redis struct {
	Addrs         []string      `yaml:"addrs" config:"required"` // host:port; several are a cluster
	Username      string        `yaml:"username"`                // ACL user; empty: the default user
	Password      string        `yaml:"password"`                // for example "${file:/run/secrets/redis}"
	TLS           TLS           `yaml:"tls"`                     // TLS to Redis
	KeyPrefix     string        `yaml:"key_prefix"`              // of every key
	Retention     time.Duration `yaml:"retention"`               // how long a final refund is remembered; at least 8760h, as long as any gateway refunds a payment
	FailoverGrace time.Duration `yaml:"failover_grace"`          // with replicas: the longest time that a cut-off primary accepts writes (min-replicas-max-lag)
}

// Worker is cmd/worker's own.
type Worker struct {
	Admin        string          `yaml:"admin"`         // host:port of /metrics, /healthz and /readyz
	MaxInFlight  int             `yaml:"max_in_flight"` // refunds at work at the same time
	DrainTimeout time.Duration   `yaml:"drain_timeout"` // how long a stop or a rebalance waits for work under way; best not shorter than a merchant's timeout
	ClaimLease   time.Duration   `yaml:"claim_lease"`   // a refund is one worker's for so long: at least session_timeout, more than a timeout and half a session_timeout
	ReviewAfter  time.Duration   `yaml:"review_after"`  // an open refund becomes REVIEW after so long: a person should look
	Delays       []time.Duration `yaml:"delays"`        // one delay topic each, ascending, whole seconds; empty a topic before its delay is removed
}

// Bridge is cmd/notify-bridge's own.
type Bridge struct {
	Admin          string        `yaml:"admin"`            // host:port of /metrics, /healthz and /readyz
	Listen         string        `yaml:"listen"`           // host:port of POST /v1/callbacks/{merchant}; the host may be left out
	MaxBody        Size          `yaml:"max_body"`         // of a callback
	Timeout        time.Duration `yaml:"timeout"`          // for all that must be durable before a callback is acknowledged
	MaxConcurrent  int           `yaml:"max_concurrent"`   // callbacks under way
	MaxPerMerchant int           `yaml:"max_per_merchant"` // verified callbacks of one merchant under way
}

// Log is how to log: level trace, debug, info, warn or error, format json or
// console.
type Log struct {
	Level  string `yaml:"level"`  // trace, debug, info, warn or error
	Format string `yaml:"format"` // json (one object a line) or console (for people)
}

// Tracing is where spans go (OTLP); empty: nowhere.
type Tracing struct {
	Endpoint string `yaml:"endpoint"` // OTLP over HTTP: a URL such as http://127.0.0.1:4318, or host:port for http; empty: off
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

// Forget lets go of the file's text and of the providers' blocks: of a configuration
// with many merchants that is most of it. It is for whoever has made all accounts.
// Account().Decode is an error from then on, and MerchantFinding knows no place.
func (c *Config) Forget() {
	c.doc.lines, c.doc.root, c.doc.masks, c.doc.broken = notShown, nil, &masks{}, nil
	for i := range c.Merchants {
		c.Merchants[i].block = nil
	}
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
