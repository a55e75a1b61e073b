package telemetry

import "strings"

// A card's number has 13 to 19 digits.
const (
	fewestDigits = 13
	mostDigits   = 19
)

// MaskCards hides the middle of what looks like a card's number: 13 to 19 digits
// that pass Luhn's check, also in groups of four or so with single spaces or
// dashes between them. The first six and the last four digits stay, as PCI DSS
// allows, so that one of our own numbers that looks like a card can still be
// found. Text without such a number is answered as it is, without a copy.
func MaskCards(text string) string {
	return maskExcept(text, func(string, int) bool { return false })
}

// maskExcept leaves those whose place (text, beginning) is shown whole.
func maskExcept(text string, whole func(string, int) bool) string {
	var out strings.Builder
	done := 0
	for i := 0; i < len(text); {
		if !digit(text[i]) {
			i++
			continue
		}
		end, digits := number(text, i)
		if digits >= fewestDigits && digits <= mostDigits && luhn(text[i:end]) && !whole(text, i) {
			out.WriteString(text[done:i])
			maskMiddle(&out, text[i:end], digits)
			done = end
		}
		i = end
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// number is where a run of digits that begins at i ends. Only a run whose first
// group has four digits may have separators: dates and phone numbers have not.
func number(text string, i int) (end, digits int) {
	end, first := i, 0
	for end < len(text) && digit(text[end]) {
		end++
	}
	digits, first = end-i, end-i
	for first == 4 && end+1 < len(text) && (text[end] == ' ' || text[end] == '-') && digit(text[end+1]) {
		more := end + 1
		for more < len(text) && digit(text[more]) {
			more++
		}
		if group := more - end - 1; group > 7 || digits+group > mostDigits {
			break
		}
		digits += more - end - 1
		end = more
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

func maskMiddle(out *strings.Builder, number string, digits int) {
	seen := 0
	for i := range len(number) {
		c := number[i]
		if digit(c) {
			if seen++; seen > 6 && seen <= digits-4 {
				c = '*'
			}
		}
		out.WriteByte(c)
	}
}
