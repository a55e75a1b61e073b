"""Publishes refund requests, one JSON object a line: publisher.py BROKERS < refunds.jsonl"""
import json
import sys

from confluent_kafka import Producer


def headers(refund):
    """A CloudEvent in binary mode; without these headers the bare JSON is taken too."""
    return [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_type", b"refund.requested.v1"),
        ("ce_id", refund["refund_no"].encode()),
        ("ce_source", b"/shop"),
    ]


def publish(brokers, refunds):
    """Returns what could not be published: publish those again, under the same numbers."""
    producer = Producer({"bootstrap.servers": brokers, "enable.idempotence": True})  # idempotence brings acks=all
    failed = []

    for refund in refunds:
        producer.produce(
            "refund.requests",
            key=refund.get("order_no") or refund.get("transaction_id"),  # refunds of an order stay in order
            value=json.dumps(refund),
            headers=headers(refund),
            on_delivery=lambda error, _, refund=refund: failed.append((refund, error)) if error else None,
        )
        producer.poll(0)
    producer.flush()
    return failed


if __name__ == "__main__":
    left = publish(sys.argv[1], (json.loads(line) for line in sys.stdin))
    for refund, error in left:
        print(refund["refund_no"], error, file=sys.stderr)
    sys.exit(1 if left else 0)
