package gatewaysim

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Command is what the control page takes, as JSON. All parts are optional and
// are carried out in this order.
type Command struct {
	// Sales are registered with their merchant.
	Sales []struct {
		Merchant string `json:"merchant"`
		Sale
	} `json:"sales"`
	// Scripts by refund number; each replaces the number's whole script.
	Scripts map[string]Script `json:"scripts"`
	// Generator replaces the present one; rates of none switch it off.
	Generator *Generator `json:"generator"`
	// Settle ends refunds now.
	Settle []struct {
		Merchant string `json:"merchant"`
		RefundNo string `json:"refund_no"`
		Result   Result `json:"result"`
	} `json:"settle"`
	// Notify sends callbacks now; the answer lists their deliveries.
	Notify []struct {
		Merchant     string       `json:"merchant"`
		RefundNo     string       `json:"refund_no"`
		Notification Notification `json:"notification"`
	} `json:"notify"`
	// RefuseFor closes the gateways' listener for so long, after the answer.
	RefuseFor Duration `json:"refuse_for"`
}

// Control serves people and tests beside the gateways:
//
//	GET  /control     what is left of the scripts, the generator, the behaviours' names
//	POST /control     a Command
//	GET  /ledger      each movement of money, a JSON object a line
//	GET  /callbacks   each Delivery, a JSON object a line
//	GET  /refusals    calls that broke a vendor's page, a JSON object a line
//	GET  /healthz     200
func (s *Sim) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /control", s.showControl)
	mux.HandleFunc("POST /control", s.takeCommand)
	mux.HandleFunc("GET /ledger", func(w http.ResponseWriter, _ *http.Request) { lines(w, s.Ledger()) })
	mux.HandleFunc("GET /callbacks", func(w http.ResponseWriter, _ *http.Request) { lines(w, s.Deliveries("")) })
	mux.HandleFunc("GET /refusals", func(w http.ResponseWriter, _ *http.Request) {
		list, _ := s.Refusals()
		lines(w, list)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	return mux
}

func lines[T any](w http.ResponseWriter, all []T) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	for _, x := range all {
		if enc.Encode(x) != nil {
			return // the reader hung up
		}
	}
}

func (s *Sim) showControl(w http.ResponseWriter, _ *http.Request) {
	names := make([]string, 0, len(behaviours))
	for _, b := range behaviours {
		names = append(names, b.Name)
	}
	s.scripts.mu.Lock()
	generator := s.scripts.generator
	s.scripts.mu.Unlock()
	body, err := json.MarshalIndent(struct {
		Scripts    map[string]Script `json:"scripts"`
		Generator  *Generator        `json:"generator"`
		Behaviours []string          `json:"behaviours"`
		Refusing   bool              `json:"refusing"`
	}{s.scripts.all(), generator, names, s.door.isShut()}, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body) // a reader that hung up is not told
}

func (s *Sim) takeCommand(w http.ResponseWriter, r *http.Request) {
	var c Command
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<20))
	if err == nil {
		err = DecodeStrict(body, &c)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	sent, err := s.carryOut(r.Context(), c)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"deliveries": sent})
	if c.RefuseFor > 0 {
		flush(w)
		s.RefuseFor(time.Duration(c.RefuseFor))
	}
}

// carryOut does what a command says, all but RefuseFor; the first part that
// cannot be done ends it.
func (s *Sim) carryOut(ctx context.Context, c Command) ([]Delivery, error) {
	for _, x := range c.Sales {
		if err := s.RegisterSale(x.Merchant, x.Sale); err != nil {
			return nil, err
		}
	}
	for no, sc := range c.Scripts {
		if err := s.SetScript(no, sc); err != nil {
			return nil, err
		}
	}
	if c.Generator != nil {
		if err := s.SetGenerator(c.Generator); err != nil {
			return nil, err
		}
	}
	for _, x := range c.Settle {
		if err := s.Settle(x.Merchant, x.RefundNo, x.Result); err != nil {
			return nil, err
		}
	}
	sent := []Delivery{}
	for _, x := range c.Notify {
		d, err := s.Notify(ctx, x.Merchant, x.RefundNo, x.Notification)
		if err != nil {
			return sent, err
		}
		sent = append(sent, d)
	}
	return sent, nil
}
