package app

import (
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/refundworker/refundworker/internal/config"
	"github.com/refundworker/refundworker/internal/refund"
	"github.com/refundworker/refundworker/internal/telemetry"
)

// Logger makes the process's logger of the configuration: one JSON object a line,
// or lines for people (console), with what telemetry.LogWriter masks and escapes.
func Logger(cfg config.Log, out io.Writer) zerolog.Logger {
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		level = zerolog.InfoLevel // config has checked it
	}
	if cfg.Format == "console" {
		out = zerolog.ConsoleWriter{Out: out, TimeFormat: time.RFC3339, NoColor: !terminal(out), FormatMessage: visible}
	}
	return zerolog.New(telemetry.LogWriter(out)).Level(level).With().Timestamp().Logger()
}

// visible is a message whose control characters do nothing to a terminal; of
// fields the console writer sees to it itself.
func visible(message any) string {
	text, _ := message.(string)
	return telemetry.Visible(text)
}

// terminal: somebody looks at it; colour codes in a file help nobody.
func terminal(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// logEvent writes one line for each finished refund and for what people should
// look at; the steps between are debug.
func logEvent(log zerolog.Logger, rec refund.Record) {
	level := zerolog.DebugLevel
	switch {
	case rec.Last.Status == refund.StatusReview || rec.Last.Correction:
		level = zerolog.WarnLevel
	case rec.Last.Status.Final():
		level = zerolog.InfoLevel
	}
	line := log.WithLevel(level).Str("merchant", rec.Request.Merchant).Str("refund_no", rec.Request.RefundNo).
		Str("provider", rec.Provider).Str("status", string(rec.Last.Status)).Str("source", string(rec.Last.Source)).
		Int64("sequence", rec.Last.Sequence).Int("attempt", rec.Attempt)
	if rec.Last.Code != "" {
		line = line.Str("code", rec.Last.Code)
	}
	if rec.Last.Correction {
		line = line.Bool("correction", true)
	}
	line.Msg("refund")
}

// logCall writes a line for each call whose outcome people may have to act on; the
// others are debug.
func logCall(log zerolog.Logger, r refund.CallReport) {
	level := zerolog.DebugLevel
	switch {
	case r.Outcome.Class == refund.Misconfigured || r.Outcome.Hold:
		level = zerolog.ErrorLevel
	case r.Outcome.Outage:
		level = zerolog.WarnLevel
	}
	log.WithLevel(level).Str("merchant", r.Merchant).Str("refund_no", r.RefundNo).Int("attempt", r.Attempt).Str("provider", r.Provider).Str("kind", telemetry.KindName(r.Kind)).
		Str("class", string(r.Outcome.Class)).Str("provider_status", r.Outcome.ProviderStatus).
		Str("code", r.Outcome.Code).Str("words", r.Outcome.Message).Dur("took", r.Took).Msg("gateway call")
}

// troubleEvery is how often the same failing step is written to the log.
const troubleEvery = 5 * time.Second
