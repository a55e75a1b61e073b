package dedupe_test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/refundworker/refundworker/internal/dedupe/dedupetest"
	"github.com/refundworker/refundworker/internal/refund"
)

// Published changes one field of what any version has stored, where it stands, and nothing of a record that is damaged.
func TestPublishedChangesItsFieldAlone(t *testing.T) {
	client := servers[0].dial(t)
	_, store := partOf(t, client)
	ctx, merchant := context.Background(), dedupetest.Merchants[0]
	if _, err := store.Begin(ctx, merchant, 0); err != nil {
		t.Fatal(err)
	}
	const field, sequence = 14, 987654
	file, err := os.ReadFile("testdata/stored-records.txt")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(file)), "\n")
	for i, line := range lines {
		stored, err := strconv.Unquote(line)
		if err != nil {
			t.Fatal(err)
		}
		key := refund.Key{Merchant: merchant, RefundNo: "r" + strconv.Itoa(i)}
		put := func(value string) string {
			if err := client.Set(ctx, store.RecordKey(merchant, key.RefundNo), value, 0).Err(); err != nil {
				t.Fatal(err)
			}
			_, _ = store.Published(ctx, key, sequence) // the record may be another merchant's: what is stored is looked at
			return client.Get(ctx, store.RecordKey(merchant, key.RefundNo)).Val()
		}
		fields := strings.SplitN(stored, "|", 25)
		fields[field] = strconv.Itoa(sequence)
		if got := put(stored); got != strings.Join(fields, "|") {
			t.Errorf("line %d becomes\n%q", i+1, got)
		}
		damaged := strings.Join(fields[:field], "|") + "|1"
		if got := put(damaged); got != damaged {
			t.Errorf("a damaged record becomes %q", got)
		}
	}
}
