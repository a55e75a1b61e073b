package telemetry

// Buckets in seconds.
var (
	callBuckets    = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	waitBuckets    = []float64{.001, .01, .1, 1, 10, 60, 300, 1800, 3600, 21600}
	finalBuckets   = []float64{.1, .5, 1, 2.5, 5, 10, 60, 300, 1800, 3600, 21600, 86400, 259200}
	rebuildBuckets = []float64{1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600}
)

var (
	events = family{name: "refund_events_total", kind: counter, labels: []label{statusLabel, providerLabel, sourceLabel},
		help: "Changes of refunds that were recorded, by the status that they brought, the gateway, and who brought the news. What was published again, same id, is not counted again."}
	timeToFinal = family{name: "refund_time_to_final_seconds", kind: histogram, labels: []label{providerLabel}, buckets: finalBuckets,
		help: "From the first delivery of a refund to its first final status."}
	calls = family{name: "refund_gateway_call_duration_seconds", kind: histogram, by: []Process{Worker}, labels: []label{providerLabel, kindLabel, classLabel}, buckets: callBuckets,
		help: "Calls and queries at gateways, by what they brought; its count is the number of calls."}
	breakerState = family{name: "refund_breaker_state", kind: gauge, by: []Process{Worker}, labels: []label{merchantLabel, breakerLabel},
		help: "1 for the state that the breaker of a merchant's gateway is in, else 0."}
	held = family{name: "refund_merchant_held", kind: gauge, by: []Process{Worker}, labels: []label{merchantLabel, holderLabel},
		help: "1 while a merchant's refund calls are held: by an operator, or by itself because the gateway refuses our settings."}
	slotsTaken = family{name: "refund_gateway_calls_in_flight", kind: gauge, by: []Process{Worker}, labels: []label{merchantLabel},
		help: "Slots of a merchant that are taken: calls under way, and what is about to call."}
	slotsAwaited = family{name: "refund_gateway_slots_awaited", kind: gauge, by: []Process{Worker}, labels: []label{merchantLabel},
		help: "Deliveries that stand in line for a slot of a merchant."}
	waits = family{name: "refund_wait_seconds", kind: histogram, by: []Process{Worker}, labels: []label{waitLabel}, buckets: waitBuckets,
		help: "How long deliveries were made to wait, in place, or in a delay topic as asked for: for a place in this worker (work), a gateway that is down (gateway), rate, slots and order interval (limit), an operator or refused settings (hold)."}
	inFlight = family{name: "refund_deliveries_in_flight", kind: gauge, by: []Process{Worker},
		help: "Deliveries being worked on. At max_in_flight this worker is full."}
	deliveries = family{name: "refund_deliveries_total", kind: counter, by: []Process{Worker}, labels: []label{topicLabel, verdictLabel},
		help: "Deliveries by what became of them. again: the store did not answer; soon: its turn at a rate or an order's interval comes within max_wait."}
	claims = family{name: "refund_claims_total", kind: counter, by: []Process{Worker}, labels: []label{answerLabel},
		help: "Claims and resends by what the store answered. in_doubt: money may have moved, the gateway is asked first."}
	deadLetters = family{name: "refund_dead_letters_total", kind: counter, by: []Process{Worker}, labels: []label{reasonLabel},
		help: "Dead letters written."}
	delayed = family{name: "refund_delayed_total", kind: counter, by: []Process{Worker}, labels: []label{causeLabel, delayLabel},
		help: "Messages written to delay topics."}
	lag = family{name: "refund_lag_records", kind: gauge, by: []Process{Worker}, labels: []label{topicLabel, partitionLabel},
		help: "Offsets of a partition of this worker that are not committed. On delay topics most of them merely wait: see refund_due_records."}
	due = family{name: "refund_due_records", kind: gauge, by: []Process{Worker}, labels: []label{topicLabel, partitionLabel},
		help: "Records of a partition of this worker that could be worked on now and are not done. Summed over all topics it is the work there is: scale by it."}
	oldestDue = family{name: "refund_oldest_due_seconds", kind: gauge, by: []Process{Worker}, labels: []label{topicLabel, partitionLabel},
		help: "For how long the oldest record that is not done could have been worked on: on the requests topic its age, on a delay topic the time since it was due; 0 where there is none."}
	partErrors = family{name: "refund_part_errors_total", kind: counter, labels: []label{partLabel, stepLabel},
		help: "Steps at Redis or Kafka that failed; each is tried again until it succeeds or its work has gone to another owner."}
	rebuilding = family{name: "refund_rebuilding_merchants", kind: gauge, by: []Process{Worker},
		help: "Merchants that are closed and being rebuilt from the status topic by this worker."}
	rebuilds = family{name: "refund_rebuilds_total", kind: counter, by: []Process{Worker}, labels: []label{rebuildLabel},
		help: "Merchants opened: rebuilt after a loss, or new; and rebuilds that failed and begin again."}
	rebuildTime = family{name: "refund_rebuild_duration_seconds", kind: histogram, by: []Process{Worker}, buckets: rebuildBuckets,
		help: "How long a merchant that was lost stayed closed, from its rebuild's lock to its opening."}
	restored = family{name: "refund_rebuild_restored_records_total", kind: counter, by: []Process{Worker},
		help: "Refunds brought back into Redis by rebuilds."}
	restoredOpen = family{name: "refund_rebuild_open_records_total", kind: counter, by: []Process{Worker},
		help: "Those of them that are not final, each of which is asked about."}
	scanned = family{name: "refund_rebuild_read_records", kind: gauge, by: []Process{Worker},
		help: "Records of the status topic that the rebuild under way, or the last one, has read."}
	toScan = family{name: "refund_rebuild_total_records", kind: gauge, by: []Process{Worker},
		help: "Records of the status topic that it has to read."}
	callbacks = family{name: "refund_callbacks_total", kind: counter, by: []Process{Bridge}, labels: []label{providerLabel, codeLabel, outcomeLabel}, occurs: callbackOccurs,
		help: "Callbacks by answer and by what became of them; with code 401 or 400 the outcome is the reason of the refusal. The provider is none where no merchant of the configuration was named."}
	callbackTime = family{name: "refund_callback_duration_seconds", kind: histogram, by: []Process{Bridge}, labels: []label{providerLabel, codeLabel}, buckets: callBuckets,
		help: "From the header of a callback to its answer."}
	skew = family{name: "refund_clock_skew_seconds", kind: gauge, labels: []label{clockLabel},
		help: "How far another clock is ahead of ours, as of the last look; of several gateways the one that is off most."}
	reloads = family{name: "refund_config_reloads_total", kind: counter, labels: []label{reloadLabel},
		help: "SIGHUPs: the configuration was applied, had not changed, or was refused and the old one kept."}
	lastReload = family{name: "refund_config_last_load_timestamp_seconds", kind: gauge,
		help: "When the configuration in use was read, in Unix time."}
	build = family{name: "refund_build_info", kind: gauge, labels: []label{
		{name: "version", from: "of the module, or the commit"}, {name: "go_version", from: "of the compiler"}},
		help: "1, with the version that runs."}
)

// families are all metrics, in the order of docs/metrics.md.
var families = []family{
	events, timeToFinal, calls, breakerState, held, slotsTaken, slotsAwaited, waits, inFlight, deliveries, claims, deadLetters, delayed,
	lag, due, oldestDue, partErrors, rebuilding, rebuilds, rebuildTime, restored, restoredOpen, scanned, toScan,
	callbacks, callbackTime, skew, reloads, lastReload, build,
}
