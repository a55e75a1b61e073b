package gatewaysim

import "time"

// TimeOutBefore loses the call and never answers.
func TimeOutBefore() Step { return Step{Result: Nothing, Answer: Hang} }

// TimeOutAfter moves the money and never answers.
func TimeOutAfter() Step { return Step{Result: Succeed, Answer: Hang} }

// LandLate moves the money d after the call came in; it is never answered,
// and until then a query does not know the refund.
func LandLate(d time.Duration) Step { return Step{Result: Succeed, LandAfter: d, Answer: Hang} }

// ResetBefore breaks the connection and loses the call.
func ResetBefore() Step { return Step{Result: Nothing, Answer: Reset} }

// ResetAfter moves the money, then breaks the connection.
func ResetAfter() Step { return Step{Result: Succeed, Answer: Reset} }

// ErrorBefore answers 500 with a page of HTML and loses the call.
func ErrorBefore() Step { return Step{Result: Nothing, Answer: HTML} }

// ErrorAfter moves the money, then answers 500 with a page of HTML.
func ErrorAfter() Step { return Step{Result: Succeed, Answer: HTML} }

// Respond answers with a return code of the vendor's table and does nothing.
func Respond(code string) Step { return Step{Code: code} }

// Forever repeats a step for every further call.
func Forever(st Step) Step {
	st.Times = -1
	return st
}
