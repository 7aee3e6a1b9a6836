package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"text/tabwriter"
	"time"
)

type delivery struct {
	Item      string     `json:"item"`
	Provider  string     `json:"provider"`
	Service   string     `json:"service"`
	State     string     `json:"status"`
	Reason    string     `json:"reason"`
	Queued    *time.Time `json:"queued"`
	Delivered *time.Time `json:"delivered"`
	Loaded    *time.Time `json:"loaded"`
	Removed   *time.Time `json:"removed"`
}

type balance struct {
	Provider string     `json:"provider"`
	At       *time.Time `json:"at"`
	Holds    bool       `json:"holds"`
	Released int64      `json:"released"`
	Loaded   int64      `json:"loaded"`
	Refused  int64      `json:"refused"`
	Overdue  int64      `json:"overdue"`
	Pending  int64      `json:"pending"`
	Lapsed   int64      `json:"lapsed"`
	InForce  int64      `json:"in_force"`
	Removing int64      `json:"removing"`
	Removed  int64      `json:"removed"`
}

type ledgerCmd struct {
	atHub
	Provider string    `arg:"" help:"Short name of the provider."`
	At       time.Time `format:"2006-01-02T15:04:05Z07:00" help:"As it was at this moment, such as 2026-03-03T12:00:00Z; without it, now."`
	Limit    int       `default:"100" help:"At most so many rows."`
}

// Run shows the ledger and whether it reconciles.
func (c *ledgerCmd) Run(ctx context.Context) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	q := url.Values{"limit": {fmt.Sprint(c.Limit)}}
	if !c.At.IsZero() {
		q.Set("at", c.At.UTC().Format(time.RFC3339Nano))
	}
	var rows struct {
		Deliveries []delivery `json:"deliveries"`
	}
	var b balance
	base := "/api/v1/providers/" + url.PathEscape(c.Provider)
	err = cl.get(ctx, base+"/ledger", q, &rows)
	if err == nil {
		q.Del("limit")
		err = cl.get(ctx, base+"/reconcile", q, &b)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(struct {
			Balance    balance    `json:"balance"`
			Deliveries []delivery `json:"deliveries"`
		}{b, rows.Deliveries})
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	for _, d := range rows.Deliveries {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.Item, d.Service, d.State, when(d.Loaded), d.Reason)
	}
	_ = w.Flush()
	fmt.Printf("released %d = loaded %d + refused %d + overdue %d + pending %d + lapsed %d; of the loaded, in force %d, being removed %d, removed %d\n",
		b.Released, b.Loaded, b.Refused, b.Overdue, b.Pending, b.Lapsed, b.InForce, b.Removing, b.Removed)
	if !b.Holds {
		return errors.New("the ledger does not reconcile: this must not happen; keep the database as it is and report it")
	}
	return nil
}
