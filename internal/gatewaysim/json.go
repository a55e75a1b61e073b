package gatewaysim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Duration is a time.Duration that JSON writes as "1m30s".
type Duration time.Duration

// MarshalJSON writes it as a string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// UnmarshalJSON reads a string such as "200ms".
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("a duration is a string such as \"200ms\": %w", err)
	}
	x, err := time.ParseDuration(s)
	if err != nil {
		return err
	}
	*d = Duration(x)
	return nil
}

// DecodeStrict reads one JSON document; a field that v does not have is an
// error, and so is anything after the document. Numbers in free fields keep
// their literals.
func DecodeStrict(body []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	dec.UseNumber()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("something follows the JSON document")
	}
	return nil
}

type plainStep Step

// stepJSON is a Step whose durations are strings: its own fields hide those of
// plainStep.
type stepJSON struct {
	*plainStep
	Delay       Duration `json:"delay,omitempty"`
	LandAfter   Duration `json:"land_after,omitempty"`
	SettleAfter Duration `json:"settle_after,omitempty"`
	Every       Duration `json:"every,omitempty"`
}

// MarshalJSON writes durations as strings.
func (st Step) MarshalJSON() ([]byte, error) {
	return json.Marshal(stepJSON{(*plainStep)(&st), Duration(st.Delay), Duration(st.LandAfter), Duration(st.SettleAfter), Duration(st.Every)})
}

// UnmarshalJSON reads what MarshalJSON writes, strictly.
func (st *Step) UnmarshalJSON(b []byte) error {
	x := stepJSON{plainStep: (*plainStep)(st)}
	if err := DecodeStrict(b, &x); err != nil {
		return err
	}
	st.Delay, st.LandAfter = time.Duration(x.Delay), time.Duration(x.LandAfter)
	st.SettleAfter, st.Every = time.Duration(x.SettleAfter), time.Duration(x.Every)
	return nil
}

type plainNotification Notification

type notificationJSON struct {
	*plainNotification
	After Duration `json:"after,omitempty"`
}

// MarshalJSON writes durations as strings.
func (n Notification) MarshalJSON() ([]byte, error) {
	return json.Marshal(notificationJSON{(*plainNotification)(&n), Duration(n.After)})
}

// UnmarshalJSON reads what MarshalJSON writes, strictly.
func (n *Notification) UnmarshalJSON(b []byte) error {
	x := notificationJSON{plainNotification: (*plainNotification)(n)}
	if err := DecodeStrict(b, &x); err != nil {
		return err
	}
	n.After = time.Duration(x.After)
	return nil
}
