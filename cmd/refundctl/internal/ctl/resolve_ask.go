package ctl

import (
	"context"
	"strings"

	"github.com/refundworker/refundworker/internal/providers"
	"github.com/refundworker/refundworker/internal/refund"
)

// gatewayTold is what the gateway says of a refund before an operator does.
type gatewayTold struct {
	refund.Outcome
	words string
}

// askGateway sends one query. It moves no money.
func (r *run) askGateway(ctx context.Context, account *providers.Account, rec refund.Record) gatewayTold {
	ctx, cancel := context.WithTimeout(ctx, account.Timeout)
	defer cancel()
	told := gatewayTold{Outcome: account.Gateway.Query(ctx, rec)}
	why := strings.Trim(told.Code+": "+told.Message, ": ")
	switch told.Class {
	case refund.Succeeded:
		told.words = "the gateway says that it succeeded"
	case refund.Declined:
		told.words = "the gateway says that it failed"
	case refund.Pending:
		told.words = "the gateway has it and has not ended it"
	case refund.NotFound:
		told.words = "the gateway proves that it has no such refund"
	case refund.Mismatch:
		told.words = "the gateway has it with another amount, order or currency"
	default:
		told.words = "the gateway cannot tell"
	}
	if told.ProviderStatus != "" {
		why = strings.TrimSuffix(told.ProviderStatus+", "+why, ", ")
	}
	if why != "" {
		told.words += " (" + why + ")"
	}
	return told
}

// contradicts: the gateway knows, and says something else. One that cannot tell
// contradicts nobody.
func (g gatewayTold) contradicts(as refund.Class) bool {
	switch g.Class {
	case refund.Succeeded, refund.Declined:
		return g.Class != as
	case refund.NotFound:
		return as == refund.Succeeded
	case refund.Pending, refund.Mismatch:
		return true
	}
	return false
}

// with takes over what a gateway that agrees knows of the refund, and notes where one
// does not.
func (v resolving) with(g gatewayTold, as refund.Class) resolving {
	switch {
	case g.contradicts(as):
		v.evidence += "; forced, although " + g.words
	case g.Class == refund.Succeeded && v.gatewayID == "":
		v.gatewayID = g.ProviderRefundID
	}
	return v
}
