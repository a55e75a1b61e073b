// Package ctl is refundctl's commands, one a file: each reads the worker's own
// configuration, answers in the form that out writes, and ends with one of the
// documented exit codes.
//
// It guarantees:
//
//   - whatever writes to the system's topics or store says so in its help, tells
//     the operators' trail (topic refund.audit) who, when, what, why and from where
//     before it does it, and, where money or many messages are concerned, only
//     shows what it would do until it is told --yes;
//   - no secret is printed;
//   - Kafka or Redis that cannot be reached end a command within --timeout, in
//     words; Ctrl-C ends it cleanly.
//
// It knows the app, the domain and the wire. Nobody knows it but the command.
package ctl
