package dedupe

import (
	"regexp"
	"strings"
	"testing"
)

// parts of scripts, which no caller names alone.
var parts = map[string]bool{"clock.lua": true, "lib.lua": true, "order.lua": true, "rate.lua": true}

func eachScript(t *testing.T, look func(name, source string)) {
	t.Helper()
	files, err := sources.ReadDir("lua")
	if err != nil || len(files) < 10 {
		t.Fatal(len(files), err)
	}
	for _, file := range files {
		source, err := sources.ReadFile("lua/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		look(file.Name(), string(source))
	}
}

// TestScriptsSayWhatTheyDo: above each stands what it is given, what it answers and
// what it guarantees, in this order.
func TestScriptsSayWhatTheyDo(t *testing.T) {
	words := regexp.MustCompile(`(?s)^-- [A-Z].*\n--\n-- KEYS  .*\n-- ARGV  .*\n-- Answer .*\n-- Guarantee  .*\n\n`)
	eachScript(t, func(name, source string) {
		if head, _, _ := strings.Cut(source, "\n\n"); !parts[name] && !words.MatchString(head+"\n\n") {
			t.Errorf("%s begins with\n%s", name, head)
		}
	})
}

// TestNoStateMachineInScripts: statuses are decided in Go. Only a claim makes an
// event, always PENDING, and only it and what the lifecycle made are stored.
func TestNoStateMachineInScripts(t *testing.T) {
	assigned := regexp.MustCompile(`(?m)^.*\[STATUS\][^=\n]*[^=~<>]=[^=].*$`)
	eachScript(t, func(name, source string) {
		found := assigned.FindAllString(source, -1)
		switch {
		case name == "claim.lua" && len(found) == 1 && strings.Contains(found[0], "= 'P', "):
		case name != "claim.lua" && len(found) == 0:
		default:
			t.Errorf("%s sets statuses: %q", name, found)
		}
	})
}
