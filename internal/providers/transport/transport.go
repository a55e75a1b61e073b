// Package transport carries one signed body to a gateway and says how far it
// came.
//
// It guarantees, for one Post:
//
//   - the body is written on at most one connection, once: nothing is replayed,
//     no redirect is followed, whatever net/http would do (exchange.go);
//   - an error whose Sent is false is a proof that no byte of the request left
//     this process, and that none will leave it later;
//   - it ends with the context, also while an answer drips in byte by byte, and
//     an answer is read up to MaxAnswer bytes.
//
// Connections are HTTP/1.1 only, where one connection carries one exchange at a
// time: HTTP/2 replays requests by rules of its own. Proxies come from the
// configuration alone, never from the environment. Merchants with the same
// base_url and proxy share their connections.
//
// It knows the domain (how an exchange that failed counts as an Outcome) and the
// merchant's common settings. What an answer means is its gateway's to judge.
package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/refundworker/refundworker/internal/providers/account"
)

// MaxAnswer is the longest answer that is read, in bytes. A longer one is an
// error with Sent: what it would have said is not known.
const MaxAnswer = 256 << 10

// buffered is what each connection has for reading, and for writing: a refund call
// with its headers, or its answer, has less.
const buffered = 2 << 10

// Options of a Pool. The zero value is what a worker needs.
type Options struct {
	// RootCAs are trusted in place of the system's.
	RootCAs *x509.CertPool
	// Dial replaces the dialling of TCP connections.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// RoundTripper replaces HTTP altogether, for gateways in the same process. As
	// it has no connection to watch, every error of it counts as sent but a
	// *net.OpError whose Op is "dial".
	RoundTripper http.RoundTripper
}

// Pool holds one Client for each base_url and proxy. The zero Pool is not
// usable: NewPool.
type Pool struct {
	options Options
	mu      sync.Mutex
	clients map[string]*Client
}

// NewPool makes an empty pool. Close it when its last exchange has ended.
func NewPool(options Options) *Pool {
	return &Pool{options: options, clients: map[string]*Client{}}
}

// Client answers the client of a merchant's BaseURL and Proxy, the same one to
// all merchants that share them. Its error names the setting that is wrong and
// repeats neither address, which may hold a password.
func (p *Pool) Client(m account.Merchant) (*Client, error) {
	base, err := baseURL(m)
	if err != nil {
		return nil, fmt.Errorf("base_url: %w", err)
	}
	proxy, err := proxyURL(m.Proxy)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := base + " " + m.Proxy
	if c := p.clients[key]; c != nil {
		return c, nil
	}
	c := &Client{base: base, wire: p.options.RoundTripper}
	if c.wire == nil {
		c.pooled = p.newTransport(proxy)
		c.wire = c.pooled
	}
	p.clients[key] = c
	return c, nil
}

// Close closes the connections that are idle.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.clients {
		if c.pooled != nil {
			c.pooled.CloseIdleConnections()
		}
	}
}

// newTransport makes the connections of one base_url. Its idle time is short: a
// connection that the gateway closes just as we write costs a query.
func (p *Pool) newTransport(proxy *url.URL) *http.Transport {
	dial := p.options.Dial
	if dial == nil {
		dial = (&net.Dialer{KeepAlive: 15 * time.Second}).DialContext
	}
	http1 := new(http.Protocols)
	http1.SetHTTP1(true)
	t := &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &watchedConn{Conn: c}, nil
		},
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: p.options.RootCAs},
		Protocols:              http1,
		DisableCompression:     true, // a small body may not unfold into a large one
		MaxIdleConnsPerHost:    256,
		IdleConnTimeout:        20 * time.Second,
		MaxResponseHeaderBytes: 32 << 10,
		ReadBufferSize:         buffered,
		WriteBufferSize:        buffered,
	}
	if proxy != nil {
		t.Proxy = http.ProxyURL(proxy)
	}
	return t
}

func baseURL(m account.Merchant) (string, error) {
	u, err := url.Parse(m.BaseURL)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "", errors.New("must be of the form https://host/path")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("must hold neither user, query nor fragment")
	case u.Scheme == "https", u.Scheme == "http" && (m.AllowHTTP || loopback(u.Hostname())):
		return strings.TrimRight(u.String(), "/"), nil
	case u.Scheme == "http":
		return "", errors.New("is plain http to another machine: use https, or set allow_http where the network is trusted")
	}
	return "", errors.New("must begin with https://")
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func proxyURL(proxy string) (*url.URL, error) {
	if proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(proxy)
	if err != nil || u.Hostname() == "" {
		return nil, errors.New("must be of the form http://host:port")
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
		return u, nil
	}
	return nil, errors.New("must begin with http://, https:// or socks5://")
}
