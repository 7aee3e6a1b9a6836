package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"ecs/cmd/ecs/internal/demo"

	"github.com/miekg/dns"
)

type trafficCmd struct {
	where
	Rounds int `default:"5" help:"How many rounds; in each, every customer does something in every service."`
}

// Run sends some rounds of traffic.
func (c *trafficCmd) Run(ctx context.Context) error {
	l, err := c.layout()
	if err != nil {
		return err
	}
	bar := progress{what: "sent", unit: "rounds"}
	for i := range c.Rounds {
		err = round(ctx, l)
		if err != nil {
			return fmt.Errorf("%w (%w)", err, demo.ErrNotRunning)
		}
		bar.at(int64(i+1), int64(c.Rounds))
	}
	bar.clear()
	fmt.Printf("%d rounds of names, mails and flows of %d customers; see http://%s/sightings\n", c.Rounds, len(demo.Customers), l.ProviderConsole())
	return nil
}

// trickle sends a round every few seconds until ctx ends.
func trickle(ctx context.Context, l demo.Layout) error {
	for {
		err := round(ctx, l)
		if err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(5 * time.Second):
		}
	}
}

var (
	harmless = []string{"www.example.com", "mail.example.net", "time.example.org", "cdn.example.com", "shop.example.net"}
	listed   = []string{"bad-update.example", "login-first-bank.example"}
)

// round has every customer do something harmless, and sometimes something that
// the sample indicators name (which matters once they have been released).
func round(ctx context.Context, l demo.Layout) error {
	for _, c := range demo.Customers {
		names := []string{harmless[rand.IntN(len(harmless))], harmless[rand.IntN(len(harmless))]}
		if rand.IntN(2) == 0 {
			names = append(names, "www."+listed[rand.IntN(len(listed))])
		}
		for _, n := range names {
			_, err := c.Ask(ctx, l, n, dns.TypeA)
			if err != nil {
				return err
			}
		}
		from, subject, text := "news@sender.example", "Minutes of the meeting", "See http://www.example.com/minutes for details."
		if rand.IntN(3) == 0 {
			from, subject, text = "billing@overdue-notice.example", "Overdue invoice 8841", "Pay at http://files.example/invoice/8841.iso today."
		}
		_, err := c.Receive(l, from, subject, text)
		if err != nil {
			return err
		}
		remote := netip.AddrFrom4([4]byte{203, 0, 113, byte(1 + rand.IntN(200))})
		if rand.IntN(3) == 0 {
			remote = netip.AddrFrom4([4]byte{198, 51, 100, 77})
		}
		err = c.Export(l, remote, 443, 80)
		if err != nil {
			return err
		}
	}
	return nil
}
