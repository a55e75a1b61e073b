"""Keeps the newest status of each refund in a database: subscriber.py BROKERS FILE"""
import json
import signal
import sqlite3
import sys

from confluent_kafka import Consumer

TABLE = """CREATE TABLE IF NOT EXISTS refunds (
    merchant TEXT, refund_no TEXT, sequence INTEGER, status TEXT, final INTEGER, PRIMARY KEY (merchant, refund_no))"""

# The one rule: an event counts only when its sequence is higher than the last that was applied.
APPLY = """INSERT INTO refunds VALUES (:merchant, :refund_no, :sequence, :status, :final)
    ON CONFLICT (merchant, refund_no) DO UPDATE SET sequence = excluded.sequence, status = excluded.status, final = excluded.final
    WHERE excluded.sequence > refunds.sequence"""


def follow(brokers, file):
    db = sqlite3.connect(file)
    db.execute(TABLE)
    consumer = Consumer({
        "bootstrap.servers": brokers, "group.id": "shop-refunds",
        "auto.offset.reset": "earliest",  # the topic is compacted: this is the state of all refunds
        "enable.auto.commit": False, "isolation.level": "read_committed",
    })
    consumer.subscribe(["refund.status"])
    try:
        while not stopped:
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error():
                print(message.error(), file=sys.stderr)
                continue
            event = json.loads(message.value())
            with db:  # durable first, then the offset: a crash in between brings the event again, and it changes nothing
                changed = db.execute(APPLY, event).rowcount
            consumer.commit(message=message, asynchronous=False)
            if changed:
                print(event["merchant"], event["refund_no"], event["status"], "final" if event["final"] else "open", flush=True)
    finally:
        consumer.close()


stopped = []

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(True))
    follow(sys.argv[1], sys.argv[2])
