package dedupe

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/refund"
)

// parts of scripts, which no caller names alone.
var parts = map[string]bool{"clock.lua": true, "lib.lua": true, "form.lua": true, "order.lua": true, "rate.lua": true}

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

// TestInPlace: of what is declared as a constant only its number is left, in the same line, and nothing else is touched.
func TestInPlace(t *testing.T) {
	text := inPlace("local ORDER, ORDER_LEN = 1, 23\nlocal MINUTE = 60\nlocal RATE = '^(%d+)'\nlocal a, b = 1, 2\n" +
		"r[ORDER_LEN], r[ORDER] = MINUTE, REORDER.ORDERS\n")
	if want := "\n\nlocal RATE = '^(%d+)'\nlocal a, b = 1, 2\nr[23], r[1] = 60, REORDER.ORDERS\n"; text != want {
		t.Errorf("%q, want %q", text, want)
	}
}

// TestAServerThatWritesOtherNumbersIsRefused: a time, or an amount, would be stored as another one.
func TestAServerThatWritesOtherNumbersIsRefused(t *testing.T) {
	server := facts{"addr": "a:1", "maxmemory_policy": "noeviction", "redis_version": "6.0.0", "master_replid": "x", "role": "master", "whole_number": wholeNumber}
	if err := server.fit(); err != nil {
		t.Error(err)
	}
	server["whole_number"] = "-2147483648"
	if err := server.fit(); err == nil || !strings.Contains(err.Error(), "64 bits") {
		t.Errorf("%v", err)
	}
}

// TestConstantsOfTheScripts: what is put in place of a name stands in no text, and each name is one number.
func TestConstantsOfTheScripts(t *testing.T) {
	files, err := sources.ReadDir("lua")
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, file := range files {
		text, err := sources.ReadFile("lua/" + file.Name())
		if err != nil {
			t.Fatal(err)
		}
		all += string(text) + "\n"
	}
	declared := map[string]bool{}
	for _, line := range constants.FindAllString(all, -1) {
		left, right, _ := strings.Cut(strings.TrimPrefix(line, "local "), " = ")
		ours := strings.Split(left, ", ")
		if len(ours) != len(strings.Split(right, ", ")) {
			t.Errorf("as many names as numbers: %s", line)
		}
		for _, one := range ours {
			if declared[one] || names.FindString(one) != one {
				t.Errorf("%s is declared twice, or is no name of a constant", one)
			}
			declared[one] = true
		}
	}
	if len(declared) < 24 {
		t.Errorf("found %d constants only", len(declared))
	}
	for _, text := range regexp.MustCompile(`'[^'\n]*'`).FindAllString(regexp.MustCompile(`(?m)--.*$`).ReplaceAllString(all, ""), -1) {
		for _, word := range names.FindAllString(text, -1) {
			if declared[word] {
				t.Errorf("%s has the name of a constant", text)
			}
		}
	}
}

// TestWhatRedisSaysWithinAScript: servers before version 7 put it behind the place in the script.
func TestWhatRedisSaysWithinAScript(t *testing.T) {
	for _, text := range []string{
		"OOM command not allowed when used memory > 'maxmemory'.",
		"@user_script: 13: -OOM command not allowed when used memory > 'maxmemory'.",
		"ERR Error running script (call to f_6b1b): @user_script:13: @user_script: 13: -OOM command not allowed when used memory > 'maxmemory'.",
	} {
		down, ok := errors.AsType[*refund.Unavailable](unavailable(stepError(text)))
		if !ok || !strings.Contains(down.Why, "out of memory") {
			t.Errorf("%s: %v", text, down)
		}
	}
}
