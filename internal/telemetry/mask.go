package telemetry

import "strings"

// A card's number has 13 to 19 digits.
const (
	fewestDigits = 13
	mostDigits   = 19
)

// MaskCards hides the middle of what looks like a card's number: 13 to 19 digits
// that pass Luhn's check, together or in groups as people write them, whatever
// numbers stand beside them. The first six and the last four digits stay, as PCI
// DSS allows, so that one of our own numbers that looks like a card can still be
// found. Text without such a number is answered as it is, without a copy.
func MaskCards(text string) string {
	return maskExcept(text, func(string, int) bool { return false })
}

// maskExcept leaves those whose place (text, beginning) is shown whole.
func maskExcept(text string, whole func(string, int) bool) string {
	var masked []byte
	for i := 0; i < len(text); {
		if !digit(text[i]) {
			i++
			continue
		}
		first := groupEnd(text, i)
		for end, digits, n := first, first-i, 1; digits <= mostDigits; n++ {
			if digits >= fewestDigits && luhn(text[i:end]) && !whole(text, i) {
				if masked == nil {
					masked = []byte(text)
				}
				maskMiddle(masked[i:end], digits)
			}
			if n == 1 && (digits < 4 || digits > mostOfGroup) {
				break
			}
			next, more := nextGroup(text, end)
			if more == 0 {
				break
			}
			end, digits = next, digits+more
		}
		i = first
	}
	if masked == nil {
		return text
	}
	return string(masked)
}

// A group of a card's number has three to eight digits, the first one four at
// least: not so those of dates and times.
const (
	fewestOfGroup = 3
	mostOfGroup   = 8
)

func groupEnd(text string, i int) int {
	for i < len(text) && digit(text[i]) {
		i++
	}
	return i
}

// separator is how many bytes at i stand between two groups: one sign, or two
// blanks.
func separator(text string, i int) int {
	if i >= len(text) {
		return 0
	}
	switch text[i] {
	case ' ':
		if strings.HasPrefix(text[i:], "  ") {
			return 2
		}
		return 1
	case '-', '.', '_':
		return 1
	}
	for _, blank := range []string{"\u00a0", "\u2009", "\u202f"} {
		if strings.HasPrefix(text[i:], blank) {
			return len(blank)
		}
	}
	return 0
}

// nextGroup is where the group behind a separator ends, and how many digits it has:
// 0 where there is none.
func nextGroup(text string, i int) (end, digits int) {
	start := i + separator(text, i)
	end = groupEnd(text, start)
	if digits = end - start; start == i || digits < fewestOfGroup || digits > mostOfGroup {
		return i, 0
	}
	return end, digits
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

func luhn(number string) bool {
	sum, double := 0, false
	for i := len(number) - 1; i >= 0; i-- {
		if !digit(number[i]) {
			continue
		}
		d := int(number[i] - '0')
		if double {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		double = !double
	}
	return sum%10 == 0
}

func maskMiddle(number []byte, digits int) {
	seen := 0
	for i, c := range number {
		if c != '*' && !digit(c) {
			continue
		}
		if seen++; seen > 6 && seen <= digits-4 {
			number[i] = '*'
		}
	}
}
