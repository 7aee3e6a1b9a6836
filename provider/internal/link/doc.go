// Package link is the provider's end of the door, and the only code of this
// house that talks to the hub. It follows the provider's log (initial load, then
// changes as they happen, by a request that the hub holds open until there is
// one), verifies each list against its signed checkpoint, puts it into the vault
// and then in force, and sends receipts and reviewed feedback back.
//
// It does not know customers, sightings or rooms, and could not tell the hub
// about them: what it may send are the types of package contract.
//
// # When things fail
//
// The hub is away: the last good list stays, each indicator ends at its own
// valid_until by this node's clock, and link tries again with growing pauses.
// A checkpoint is forged, older, expired, from the future, or does not fit its
// entries: the old list stays, the console says so, and the hub is told by a
// receipt with the problem's code. The vault cannot be written: the new list is
// not put in force, because it would not survive a restart; the hub is told. A
// receipt is lost: it is made again until the hub confirms it.
package link
