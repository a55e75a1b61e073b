package bluepay

// Identity is what the gateway calls this account (app_id), in its books for
// example. It is no secret.
func (g *Gateway) Identity() string { return g.appID }
