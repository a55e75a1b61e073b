package ctl

import (
	_ "embed"
	"html/template"
)

//go:embed audit_page.html
var auditPageText string

// auditPage is the audit as one page that needs nothing else: no script, no other
// file.
var auditPage = template.Must(template.New("audit").Parse(auditPageText))
