package release

import (
	"context"
	"errors"
	"time"

	"ecs/contract"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// This file holds the signatures while the bodies are being written; each line
// disappears as its method arrives in its own file.

var errLater = errors.New("release: being built")

type follower struct{}
type bell struct{}

// Privacy records a determination on an item in PRIVACY_GATE and lets it go on.
func (d *Desk) Privacy(ctx context.Context, acct signin.Account, ref Ref, determination indicator.Determination, reason string) error {
	return errLater
}

// First gives the first (technical) approval.
func (d *Desk) First(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return errLater
}

// Second gives the second approval, fixes the targets and releases.
func (d *Desk) Second(ctx context.Context, acct signin.Account, ref Ref, reason string, targets []Target) (Outcome, error) {
	return Outcome{}, errLater
}

// Hold takes an item that is not released yet back to the privacy gate.
func (d *Desk) Hold(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return errLater
}

// Override asks for (first person) or approves (second person) an override of all stop findings.
func (d *Desk) Override(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return errLater
}

// Return sends the item back to its source, with the reason.
func (d *Desk) Return(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return errLater
}

// Reject ends the item, with the reason.
func (d *Desk) Reject(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return errLater
}

// Recall takes a released item out of force at every provider.
func (d *Desk) Recall(ctx context.Context, acct signin.Account, ref Ref, reason string) error {
	return errLater
}

// FirstAll, SecondAll and RecallAll act on many items; each item succeeds or fails by itself. progress may be nil.
func (d *Desk) FirstAll(ctx context.Context, acct signin.Account, ids []contract.ID, reason string, progress func(done, total int)) (Bulk, error) {
	return Bulk{}, errLater
}

// SecondAll is the bulk form of Second.
func (d *Desk) SecondAll(ctx context.Context, acct signin.Account, ids []contract.ID, reason string, targets []Target, progress func(done, total int)) (Bulk, error) {
	return Bulk{}, errLater
}

// RecallAll is the bulk form of Recall.
func (d *Desk) RecallAll(ctx context.Context, acct signin.Account, ids []contract.ID, reason string, progress func(done, total int)) (Bulk, error) {
	return Bulk{}, errLater
}

// Changes gives the page of a provider's log after a sequence number; after 0 means "I have nothing". limit 0: 1000.
func (d *Desk) Changes(ctx context.Context, provider string, after uint64, limit int) (contract.Page, error) {
	return contract.Page{}, errLater
}

// Wait returns nil when the provider's log has entries after a sequence number, ctx's error when ctx ends first.
func (d *Desk) Wait(ctx context.Context, provider string, after uint64) error { return errLater }

// Acknowledge verifies and books a receipt. serial is of the node's certificate, as table node has it.
func (d *Desk) Acknowledge(ctx context.Context, provider, serial string, signed contract.SignedAck) error {
	return errLater
}

// Expire moves what is past valid_until to EXPIRED and counts it.
func (d *Desk) Expire(ctx context.Context) (int, error) { return 0, errLater }

// Ledger lists deliveries.
func (d *Desk) Ledger(ctx context.Context, q sqldb.Querier, f Filter) ([]Delivery, error) {
	return nil, errLater
}

// Reconcile balances a provider's ledger as of at.
func (d *Desk) Reconcile(ctx context.Context, provider string, at time.Time) (Balance, error) {
	return Balance{}, errLater
}

// InForce lists what was in force at a provider as of at, after an identifier, at most limit items.
func (d *Desk) InForce(ctx context.Context, provider string, at time.Time, after contract.ID, limit int) ([]InForce, error) {
	return nil, errLater
}

// Nodes tells where each provider stands.
func (d *Desk) Nodes(ctx context.Context) ([]Node, error) { return nil, errLater }

// Receipts lists a provider's acknowledgements, newest first.
func (d *Desk) Receipts(ctx context.Context, provider string, limit int) ([]Receipt, error) {
	return nil, errLater
}
func (d *Desk) settle(ctx context.Context) error { return errLater }
func (d *Desk) look(ctx context.Context) error   { return errLater }
