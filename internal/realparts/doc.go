// Package realparts starts a real Apache Kafka and a real Redis on this machine,
// for tests, the chaos run and the benchmarks. It knows nothing of refunds and is
// never linked into the product.
//
// It needs Java 17 and Maven (Kafka's jars come through Maven, once, into the
// user's cache) and redis-server with redis-cli, on Linux or another Unix. What is
// missing is said in one line (Missing). Every process that it starts is in a
// process group of its own and ends with this process: by Stop or Kill, and on
// Linux also where this process is killed.
package realparts
