package eftpay

// Identity is what the gateway calls this account (user_confirm_key), in its books for
// example. It is no secret.
func (g *Gateway) Identity() string { return g.settings.UserConfirmKey }
