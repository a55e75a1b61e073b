package dedupe

import "context"

// Forget takes a merchant's sentinel away, as if Redis had lost what it knew of the merchant: every step is refused from
// then on until a keeper has rebuilt the merchant from the status topic, after the quiet time in which every lease given
// before ends. It is for operators who do not trust what Redis has. Records and orders stay: a rebuild goes forward only.
// The merchant must be known to the control topic, or it would be taken for a new one. Errors: *refund.Unavailable.
func (s *Store) Forget(ctx context.Context, merchant string) error {
	s.epochs.forget(merchant)
	if err := s.client.Del(ctx, s.keys(merchant).sentinel()).Err(); err != nil {
		return unavailable(err)
	}
	return nil
}
