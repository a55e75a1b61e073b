//go:build unix

package realparts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// KafkaVersion is the Apache Kafka that is started unless another is named.
const KafkaVersion = "4.3.1"

// KafkaOptions of a cluster.
type KafkaOptions struct {
	Version string   // KafkaVersion unless set; 3.9.2 is the oldest that is tested
	Brokers int      // 1 unless set; with three the replication factor is 3 and min.insync.replicas 2
	Secure  *Secure  // clients then connect by SASL over TLS; nil: plaintext
	Extra   []string // further lines of server.properties
}

// Kafka is a running cluster in combined mode: each broker is a controller too.
// Sessions of group members may be as short as a second, and a broker that is gone
// is given up after two.
type Kafka struct {
	Nodes   []*Process
	Brokers []string // host:port for clients
	Inside  []string // host:port for the administrator, in plain text; only where Secure
}

// startTime is how long a broker may take; a first start takes 5 to 10 seconds.
const startTime = 90 * time.Second

// StartKafka formats and starts a cluster in dir, and returns once every broker
// listens. The jars are fetched through Maven the first time.
func StartKafka(dir string, o KafkaOptions) (*Kafka, error) {
	if o.Version == "" {
		o.Version = KafkaVersion
	}
	o.Brokers = max(o.Brokers, 1)
	jars, err := kafkaJars(o.Version)
	if err != nil {
		return nil, err
	}
	layout, err := plan(dir, o)
	if err != nil {
		return nil, err
	}
	var formats errgroup.Group
	for _, b := range layout {
		formats.Go(func() error { return b.format(jars, o) })
	}
	if err := formats.Wait(); err != nil {
		return nil, err
	}
	k := &Kafka{}
	for _, b := range layout {
		node, err := StartProcess(dir, b.name, func() *exec.Cmd { return java(jars, "-Xmx512m", "kafka.Kafka", b.properties) }, nil, 0)
		if err != nil {
			k.Stop()
			return nil, err
		}
		k.Nodes, k.Brokers = append(k.Nodes, node), append(k.Brokers, b.client)
		if b.inside != "" {
			k.Inside = append(k.Inside, b.inside)
		}
	}
	for i := range k.Nodes { // none listens before a majority is up
		if err := k.AwaitBroker(i); err != nil {
			k.Stop()
			return nil, err
		}
	}
	return k, nil
}

// AwaitBroker waits until broker i listens, for example after it was started
// again. It serves its partitions once the others have seen its old session end.
func (k *Kafka) AwaitBroker(i int) error {
	return k.Nodes[i].Await(func() bool { return Listening(k.Brokers[i]) }, startTime)
}

// Stop kills all brokers.
func (k *Kafka) Stop() {
	for _, node := range k.Nodes {
		node.Kill()
	}
}

// java starts fast rather than runs fast: a broker of a test lives for a minute.
func java(jars string, args ...string) *exec.Cmd {
	return exec.Command("java", append([]string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", jars}, args...)...)
}

// kafkaJars answers the class path of a version, from the user's cache.
func kafkaJars(version string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "refundworker", "kafka-"+version)
	lib := filepath.Join(dir, "lib")
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return filepath.Join(lib, "*"), nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	pom := fmt.Sprintf(`<project><modelVersion>4.0.0</modelVersion><groupId>refundworker</groupId><artifactId>kafka</artifactId><version>1</version>
<dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>%s</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>
`, version)
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), []byte(pom), 0o600); err != nil {
		return "", err
	}
	mvn := exec.Command("mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib")
	mvn.Dir = dir
	if out, err := mvn.CombinedOutput(); err != nil {
		return "", fmt.Errorf("fetching Kafka %s through Maven: %w: %s", version, err, out)
	}
	return filepath.Join(lib, "*"), os.WriteFile(filepath.Join(dir, "complete"), nil, 0o600)
}
