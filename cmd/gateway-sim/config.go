package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/refundworker/refundworker/internal/gatewaysim"
	"github.com/spf13/pflag"
)

// settings is what serve needs.
type settings struct {
	addr, admin string
	sim         gatewaysim.Config
	scripts     map[string]gatewaysim.Script
}

// file is the configuration file. Flags that are given win over it.
type file struct {
	// Addr of the gateways; of /control and the like as well, unless Admin
	// is set.
	Addr  string `json:"addr"`
	Admin string `json:"admin"`
	// See gatewaysim.Config for these.
	Prefix         string                       `json:"prefix"`
	Delay          gatewaysim.Duration          `json:"delay"`
	SettleAfter    gatewaysim.Duration          `json:"settle_after"`
	TimeTolerance  gatewaysim.Duration          `json:"time_tolerance"`
	CallbackScale  int                          `json:"callback_scale"`
	Idempotent     bool                         `json:"idempotent"`
	CheckTotals    bool                         `json:"check_totals"`
	OnePending     bool                         `json:"one_pending"`
	KnownSalesOnly bool                         `json:"known_sales_only"`
	NotifyPorts    bool                         `json:"notify_ports"`
	MagicAmounts   bool                         `json:"magic_amounts"`
	Generator      *gatewaysim.Generator        `json:"generator"`
	EftPay         []gatewaysim.EftPayMerchant  `json:"eftpay"`
	BluePay        []bluePayMerchant            `json:"bluepay"`
	Scripts        map[string]gatewaysim.Script `json:"scripts"`
}

// bluePayMerchant names key files, relative to the configuration file.
type bluePayMerchant struct {
	AppID                 string `json:"app_id"`
	MerchantPublicKeyFile string `json:"merchant_public_key_file"`
	GatewayPrivateKeyFile string `json:"gateway_private_key_file"`
	Currency              string `json:"currency"`
	Milliseconds          bool   `json:"milliseconds"`
	NotFoundCode          int    `json:"not_found_code"`
	OneAsObject           bool   `json:"one_as_object"`
}

// options are the flags.
type options struct {
	config, addr, admin, prefix string
	delay                       time.Duration
	seed                        uint64
	rates                       map[string]int
	magic, idempotent, totals   bool
	eftpay, bluepay             []string
}

func (o *options) register(f *pflag.FlagSet) {
	f.StringVar(&o.config, "config", "", "JSON file with merchants, rates and scripts")
	f.StringVar(&o.addr, "addr", "127.0.0.1:9480", "address of the gateways")
	f.StringVar(&o.admin, "admin", "", "address of /control, /ledger and /healthz; empty: that of the gateways")
	f.StringVar(&o.prefix, "prefix", "", "path before eftPay's own paths (default /VMP)")
	f.DurationVar(&o.delay, "delay", 0, "added to each call and query")
	f.Uint64Var(&o.seed, "seed", 0, "seed of the generator")
	f.StringToIntVar(&o.rates, "rate", nil, "BEHAVIOUR=N refunds per thousand; repeatable")
	f.BoolVar(&o.magic, "magic", false, "let amounts from 900.01 choose the behaviour")
	f.BoolVar(&o.idempotent, "idempotent", false, "a refund number moves money once")
	f.BoolVar(&o.totals, "check-totals", false, "decline what goes over a sale's total")
	f.StringArrayVar(&o.eftpay, "eftpay", nil, "USER_CONFIRM_KEY:SECRET; repeatable")
	f.StringArrayVar(&o.bluepay, "bluepay", nil, "APP_ID:MERCHANT_PUBLIC_KEY_FILE:GATEWAY_PRIVATE_KEY_FILE; repeatable")
}

// settings puts file and flags together. All findings are reported at once.
func (o *options) settings(flags *pflag.FlagSet) (settings, error) {
	f, dir := file{Addr: o.addr}, "."
	if o.config != "" {
		body, err := os.ReadFile(o.config)
		if err != nil {
			return settings{}, err
		}
		if err := gatewaysim.DecodeStrict(body, &f); err != nil {
			return settings{}, fmt.Errorf("%s: %w", o.config, err)
		}
		dir = filepath.Dir(o.config)
	}
	for name, apply := range map[string]func(){
		"addr":         func() { f.Addr = o.addr },
		"admin":        func() { f.Admin = o.admin },
		"prefix":       func() { f.Prefix = o.prefix },
		"delay":        func() { f.Delay = gatewaysim.Duration(o.delay) },
		"magic":        func() { f.MagicAmounts = o.magic },
		"idempotent":   func() { f.Idempotent = o.idempotent },
		"check-totals": func() { f.CheckTotals = o.totals },
	} {
		if flags.Changed(name) {
			apply()
		}
	}
	if flags.Changed("seed") || flags.Changed("rate") {
		if f.Generator == nil {
			f.Generator = &gatewaysim.Generator{}
		}
		if flags.Changed("seed") {
			f.Generator.Seed = o.seed
		}
		if flags.Changed("rate") {
			f.Generator.Rates = o.rates
		}
	}
	var errs []error
	for _, x := range o.eftpay {
		key, secret, ok := strings.Cut(x, ":")
		if !ok {
			errs = append(errs, errors.New("--eftpay needs USER_CONFIRM_KEY:SECRET"))
		}
		f.EftPay = append(f.EftPay, gatewaysim.EftPayMerchant{UserConfirmKey: key, Secret: secret})
	}
	merchants, err := f.bluepay(dir)
	errs = append(errs, err)
	own := file{}
	for _, x := range o.bluepay {
		part := strings.Split(x, ":")
		if len(part) != 3 {
			errs = append(errs, errors.New("--bluepay needs APP_ID:MERCHANT_PUBLIC_KEY_FILE:GATEWAY_PRIVATE_KEY_FILE"))
			continue
		}
		own.BluePay = append(own.BluePay, bluePayMerchant{AppID: part[0], MerchantPublicKeyFile: part[1], GatewayPrivateKeyFile: part[2]})
	}
	more, err := own.bluepay(".")
	errs = append(errs, err)
	if merchants = append(merchants, more...); len(merchants)+len(f.EftPay) == 0 && errors.Join(errs...) == nil {
		errs = append(errs, errors.New("there is no merchant: give --eftpay, --bluepay or --config"))
	}
	return settings{addr: f.Addr, admin: f.Admin, scripts: f.Scripts, sim: gatewaysim.Config{
		EftPay: f.EftPay, BluePay: merchants, Prefix: f.Prefix, Delay: time.Duration(f.Delay), SettleAfter: time.Duration(f.SettleAfter),
		TimeTolerance: time.Duration(f.TimeTolerance), CallbackScale: f.CallbackScale, Idempotent: f.Idempotent, CheckTotals: f.CheckTotals,
		OnePending: f.OnePending, KnownSalesOnly: f.KnownSalesOnly, NotifyPorts: f.NotifyPorts, MagicAmounts: f.MagicAmounts,
		Generator: f.Generator,
	}}, errors.Join(errs...)
}

// bluepay reads the key files.
func (f file) bluepay(dir string) ([]gatewaysim.BluePayMerchant, error) {
	var all []gatewaysim.BluePayMerchant
	var errs []error
	for _, m := range f.BluePay {
		public, err := os.ReadFile(under(dir, m.MerchantPublicKeyFile))
		private, err2 := os.ReadFile(under(dir, m.GatewayPrivateKeyFile))
		if err := errors.Join(err, err2); err != nil {
			errs = append(errs, fmt.Errorf("bluepay merchant %q: %w", m.AppID, err))
			continue
		}
		merchantKey, err := gatewaysim.ParsePublicKey(string(public))
		gatewayKey, err2 := gatewaysim.ParsePrivateKey(string(private))
		if err := errors.Join(err, err2); err != nil {
			errs = append(errs, fmt.Errorf("bluepay merchant %q: %w", m.AppID, err))
			continue
		}
		all = append(all, gatewaysim.BluePayMerchant{AppID: m.AppID, MerchantKey: merchantKey, GatewayKey: gatewayKey, Currency: m.Currency,
			Milliseconds: m.Milliseconds, NotFoundCode: m.NotFoundCode, OneAsObject: m.OneAsObject})
	}
	return all, errors.Join(errs...)
}

func under(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
