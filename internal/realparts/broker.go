//go:build unix

package realparts

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// broker is one broker's place in the cluster, on disk and on the loopback.
type broker struct {
	name       string
	client     string // where clients connect
	inside     string // where the administrator does, and the brokers among themselves; empty where not Secure
	properties string // its server.properties
}

const clusterID = "MkU3OEVBNTcwNTJENDM2Qk"

// plan chooses ports and writes each broker's properties.
func plan(dir string, o KafkaOptions) ([]broker, error) {
	ports, err := Ports(3 * o.Brokers)
	if err != nil {
		return nil, err
	}
	var voters []string
	for i := range o.Brokers {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, local(ports[3*i])))
	}
	var all []broker
	for i := range o.Brokers {
		b := broker{name: fmt.Sprintf("kafka%d", i+1), client: local(ports[3*i+1])}
		home := filepath.Join(dir, b.name)
		if err := os.MkdirAll(home, 0o700); err != nil {
			return nil, err
		}
		factor, inSync := 1, 1
		if o.Brokers >= 3 {
			factor, inSync = 3, 2
		}
		lines := []string{
			"process.roles=broker,controller",
			fmt.Sprintf("node.id=%d", i+1),
			"controller.quorum.voters=" + strings.Join(voters, ","),
			"controller.listener.names=CONTROLLER",
			"log.dirs=" + filepath.Join(home, "data"),
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
			"transaction.state.log.num.partitions=8",
		}
		controller, inside := local(ports[3*i]), local(ports[3*i+2])
		if o.Secure == nil {
			lines = append(lines, fmt.Sprintf("listeners=PLAINTEXT://%s,CONTROLLER://%s", b.client, controller))
		} else {
			more, err := o.Secure.properties(home, b.client, inside, controller)
			if err != nil {
				return nil, err
			}
			lines, b.inside = append(lines, more...), inside
		}
		b.properties = filepath.Join(home, "server.properties")
		if err := os.WriteFile(b.properties, []byte(strings.Join(append(lines, o.Extra...), "\n")+"\n"), 0o600); err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// format prepares the broker's data directory, once.
func (b broker) format(jars string, o KafkaOptions) error {
	args := []string{"kafka.tools.StorageTool", "format", "-t", clusterID, "-c", b.properties}
	if o.Secure != nil {
		for user, password := range o.Secure.scram() {
			args = append(args, "--add-scram", fmt.Sprintf("SCRAM-SHA-512=[name=%s,password=%s]", user, password))
		}
	}
	if out, err := java(jars, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("formatting %s: %w: %s", b.name, err, out)
	}
	return nil
}
