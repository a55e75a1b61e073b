package telemetry

import "go.opentelemetry.io/otel/attribute"

// Names of attributes by the OpenTelemetry semantic conventions, as of this
// version; a test holds them against it. Those for messaging are still in
// development there: they change here or nowhere.
const conventions = "https://opentelemetry.io/schemas/1.43.0"

const (
	serviceName     = attribute.Key("service.name")
	serviceVersion  = attribute.Key("service.version")
	serviceInstance = attribute.Key("service.instance.id")

	messagingSystem        = attribute.Key("messaging.system")
	messagingOperation     = attribute.Key("messaging.operation.name")
	messagingOperationType = attribute.Key("messaging.operation.type")
	messagingDestination   = attribute.Key("messaging.destination.name")
	messagingPartition     = attribute.Key("messaging.destination.partition.id")
	messagingGroup         = attribute.Key("messaging.consumer.group.name")
	messagingMessageID     = attribute.Key("messaging.message.id")
	kafkaOffset            = attribute.Key("messaging.kafka.offset")
	kafkaKey               = attribute.Key("messaging.kafka.message.key")

	dbSystem    = attribute.Key("db.system.name")
	dbOperation = attribute.Key("db.operation.name")
	dbProcedure = attribute.Key("db.stored_procedure.name")

	httpMethod    = attribute.Key("http.request.method")
	httpRoute     = attribute.Key("http.route")
	httpStatus    = attribute.Key("http.response.status_code")
	serverAddress = attribute.Key("server.address")
	errorType     = attribute.Key("error.type")
)

// Names of our own.
const (
	refundNo       = attribute.Key("refund.no")
	refundMerchant = attribute.Key("refund.merchant")
	refundProvider = attribute.Key("refund.provider")
	refundStatus   = attribute.Key("refund.status")
	refundSequence = attribute.Key("refund.sequence")
	refundAttempt  = attribute.Key("refund.attempt")
	refundFollowUp = attribute.Key("refund.follow_up")
	refundAnswer   = attribute.Key("refund.claim.answer")
	refundClass    = attribute.Key("refund.outcome.class")
	refundCode     = attribute.Key("refund.outcome.code")
	refundVerdict  = attribute.Key("refund.verdict")
)
