package realparts

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// KafkaVersion is the Apache Kafka that is started unless another is named.
const KafkaVersion = "4.3.1"

// KafkaOptions of a cluster.
type KafkaOptions struct {
	Version string   // KafkaVersion unless set; 3.9.2 is the oldest that is tested
	Brokers int      // 1 unless set; with three the replication factor is 3 and min.insync.replicas 2
	Extra   []string // further lines of server.properties
}

// Kafka is a running cluster in combined mode: each broker is a controller too.
type Kafka struct {
	Nodes   []*Process
	Brokers []string // host:port
	dirs    []string
}

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
	ports, err := Ports(2 * o.Brokers)
	if err != nil {
		return nil, err
	}
	k := &Kafka{}
	var voters []string
	for i := range o.Brokers {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", i+1, ports[o.Brokers+i]))
		k.Brokers = append(k.Brokers, fmt.Sprintf("127.0.0.1:%d", ports[i]))
	}
	for i := range o.Brokers {
		node := filepath.Join(dir, fmt.Sprintf("kafka%d", i+1))
		properties, err := writeProperties(node, i+1, k.Brokers[i], ports[o.Brokers+i], voters, o)
		if err != nil {
			return nil, err
		}
		if out, err := exec.Command("java", "-cp", jars, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qk", "-c", properties).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("formatting %s: %w: %s", node, err, out)
		}
		k.dirs = append(k.dirs, properties)
	}
	for i, properties := range k.dirs {
		port := ports[i]
		process, err := startProcess(dir, fmt.Sprintf("kafka%d", i+1), func() *exec.Cmd {
			return exec.Command("java", "-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", jars, "kafka.Kafka", properties)
		}, func() bool { return i < o.Brokers-1 || listening(port) }, time.Minute) // a majority must be up before any of them listens
		if err != nil {
			k.Stop()
			return nil, err
		}
		k.Nodes = append(k.Nodes, process)
	}
	for i, process := range k.Nodes {
		if err := process.await(func() bool { return listening(ports[i]) }, time.Minute); err != nil {
			k.Stop()
			return nil, err
		}
	}
	return k, nil
}

func writeProperties(node string, id int, broker string, controller int, voters []string, o KafkaOptions) (string, error) {
	if err := os.MkdirAll(node, 0o700); err != nil {
		return "", err
	}
	factor, inSync := 1, 1
	if o.Brokers >= 3 {
		factor, inSync = 3, 2
	}
	lines := append([]string{
		"process.roles=broker,controller",
		fmt.Sprintf("node.id=%d", id),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		fmt.Sprintf("listeners=PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d", broker, controller),
		"controller.listener.names=CONTROLLER",
		"log.dirs=" + filepath.Join(node, "data"),
		fmt.Sprintf("offsets.topic.replication.factor=%d", factor),
		fmt.Sprintf("transaction.state.log.replication.factor=%d", factor),
		fmt.Sprintf("transaction.state.log.min.isr=%d", inSync),
		fmt.Sprintf("min.insync.replicas=%d", inSync),
		"auto.create.topics.enable=false",
		"group.initial.rebalance.delay.ms=0",
		"group.min.session.timeout.ms=1000",
		"broker.session.timeout.ms=2000",
		"broker.heartbeat.interval.ms=500",
		"offsets.topic.num.partitions=8",
	}, o.Extra...)
	file := filepath.Join(node, "server.properties")
	return file, os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// Stop ends all brokers.
func (k *Kafka) Stop() {
	for _, node := range k.Nodes {
		node.Kill()
	}
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
