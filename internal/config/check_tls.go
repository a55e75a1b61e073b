package config

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"os"
	"time"
)

// Authorities are those of CAFile; nil: the system's.
func (t TLS) Authorities() *x509.CertPool { return t.authorities }

// Certificate is the client's, with its key; nil: none.
func (t TLS) Certificate() *tls.Certificate { return t.certificate }

// checkTLS resolves the files against the configuration's folder and reads them.
func (d *document) checkTLS(path string, t *TLS) {
	contents := map[string][]byte{}
	for _, file := range []struct {
		key  string
		name *string
	}{{"ca_file", &t.CAFile}, {"cert_file", &t.CertFile}, {"key_file", &t.KeyFile}} {
		at := join(path, file.key)
		*file.name = d.path(*file.name)
		if *file.name == "" || !d.sound(at) {
			continue
		}
		content, err := os.ReadFile(*file.name)
		if err != nil {
			d.fail(at, "%v", err)
			continue
		}
		contents[file.key] = content
	}
	if ca, given := contents["ca_file"]; given {
		t.authoritiesDigest = sha256.Sum256(ca)
	}
	if cert, given := contents["cert_file"]; given {
		t.digest = sha256.Sum256(append(append(cert[:len(cert):len(cert)], 0), contents["key_file"]...))
	}
	if (t.CertFile == "") != (t.KeyFile == "") {
		d.fail(path, "cert_file and key_file come together")
	}
	if ca, given := contents["ca_file"]; given {
		if t.authorities = x509.NewCertPool(); !t.authorities.AppendCertsFromPEM(ca) {
			d.fail(join(path, "ca_file"), "holds no certificate in PEM")
		}
	}
	cert, key := contents["cert_file"], contents["key_file"]
	if cert == nil || key == nil {
		return
	}
	pair, err := tls.X509KeyPair(cert, key)
	switch {
	case err != nil:
		d.fail(join(path, "cert_file"), "does not go with key_file: %v", err)
	case time.Now().After(pair.Leaf.NotAfter):
		d.fail(join(path, "cert_file"), "has been out of date since %s", pair.Leaf.NotAfter.UTC().Format(time.DateTime))
	default:
		t.certificate = &pair
	}
}
