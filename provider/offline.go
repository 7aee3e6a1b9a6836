package provider

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"ecs/contract"
	"ecs/internal/secret"
	"ecs/internal/signin"
	"ecs/observable"
	"ecs/provider/internal/flow/hunt"
	"ecs/provider/internal/link"
	"ecs/provider/internal/mail"
	"ecs/provider/internal/match"
	"ecs/provider/internal/store"
)

// MailVerdict is what the mail room would do with one message of a file.
type MailVerdict struct {
	Path    string    `json:"path"`
	Message int       `json:"message,omitempty"` // in an mbox, from 1
	Action  string    `json:"action"`            // passed, alerted, tagged, quarantined, rejected
	Reply   string    `json:"reply,omitempty"`   // what the sending server would be told
	Hits    []MailHit `json:"hits,omitempty"`
	Error   string    `json:"error,omitempty"`
	Read    int64     `json:"-"` // bytes of all files so far
	Total   int64     `json:"-"` // bytes of all files
}

// MailHit is one indicator that a message matches.
type MailHit struct {
	Indicator string `json:"indicator"`
	Category  string `json:"category"`
	Place     string `json:"place"`
	What      string `json:"what,omitempty"` // empty when the marking forbids showing it
}

// ScanMail judges a file, an mbox, or every file below a folder with the list
// that the node has in force, as for a customer who refuses what matches. It
// records nothing. It ends early when tell returns false.
func ScanMail(ctx context.Context, cfg Config, path string, tell func(MailVerdict) bool) error {
	items, err := inForce(cfg, contract.SMTP)
	if err != nil {
		return err
	}
	return mail.ScanPath(ctx, path, mail.ScanConfig{Set: match.Build(items)}, func(s mail.Scanned) bool {
		v := MailVerdict{Path: s.Path, Message: s.Message, Action: s.Verdict.Action.String(), Reply: s.Verdict.Reply, Read: s.Read, Total: s.Total}
		if s.Err != nil {
			v.Action, v.Error = "error", s.Err.Error()
		}
		for _, h := range s.Verdict.Hits {
			v.Hits = append(v.Hits, MailHit{Indicator: h.Indicator.String(), Category: h.Category.String(), Place: h.Place.String(), What: h.What})
		}
		return tell(v)
	})
}

// HuntHit is what one customer had to do with what is hunted for.
type HuntHit struct {
	Target   string    `json:"target"` // the indicator, or what was asked for
	Customer string    `json:"customer"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Flows    uint64    `json:"flows"`
	Packets  uint64    `json:"packets"`
	Bytes    uint64    `json:"bytes"`
}

// HuntResult is the answer of a hunt.
type HuntResult struct {
	Hits    []HuntHit `json:"hits"`
	Files   int       `json:"files"`   // looked at
	Skipped int       `json:"skipped"` // of these, without reading them
	Rows    int64     `json:"rows"`    // in all files looked at
	Bad     []string  `json:"bad,omitempty"`
}

// Hunt asks whether any customer talked to something since a moment. Each what
// is an indicator's identifier (its addresses, prefixes and ports are looked up
// in the list in force), an address, a prefix, or "port N".
func Hunt(ctx context.Context, cfg Config, what []string, since time.Time, progress func(done, total int)) (HuntResult, error) {
	var out HuntResult
	q := hunt.Query{Dir: cfg.path("flows"), Since: since}
	var err error
	q.Key, err = secret.Key(cfg.path("keys"), "flows.key", 32)
	if err != nil {
		return out, err
	}
	var asked []string // what each target was asked for as
	for _, w := range what {
		targets, err := huntTargets(cfg, w)
		if err != nil {
			return out, err
		}
		for range targets {
			asked = append(asked, w)
		}
		q.Targets = append(q.Targets, targets...)
	}
	names, err := customerNames(ctx, cfg)
	if err != nil {
		return out, err
	}
	r, err := hunt.Run(ctx, q, progress)
	out.Files, out.Skipped, out.Rows = r.Files, r.Skipped, r.Rows
	for _, h := range r.Hits {
		out.Hits = append(out.Hits, HuntHit{
			Target: asked[h.Target], Customer: names[h.Customer], First: time.UnixMilli(h.First).UTC(), Last: time.UnixMilli(h.Last).UTC(),
			Flows: h.Flows, Packets: h.Packets, Bytes: h.Bytes,
		})
	}
	for _, b := range r.Bad {
		out.Bad = append(out.Bad, b.Error())
	}
	return out, err
}

func huntTargets(cfg Config, what string) ([]hunt.Target, error) {
	id, err := contract.ParseID(what)
	if err == nil {
		return indicatorTargets(cfg, id)
	}
	var port uint16
	_, err = fmt.Sscanf(what, "port %d", &port)
	if err == nil && port != 0 {
		return []hunt.Target{{Port: port}}, nil
	}
	if !strings.Contains(what, "/") {
		a, err := netip.ParseAddr(what)
		if err != nil {
			return nil, fmt.Errorf("%q is no indicator, address, prefix or \"port N\"", what)
		}
		return []hunt.Target{{Prefix: netip.PrefixFrom(a, a.BitLen())}}, nil
	}
	p, err := netip.ParsePrefix(what)
	if err != nil {
		return nil, fmt.Errorf("%q is no prefix: %w", what, err)
	}
	return []hunt.Target{{Prefix: p}}, nil
}

func indicatorTargets(cfg Config, id contract.ID) ([]hunt.Target, error) {
	items, err := inForce(cfg, contract.NetFlow)
	if err != nil {
		return nil, err
	}
	var out []hunt.Target
	for _, it := range items {
		if it.Entry.ID != id {
			continue
		}
		for _, a := range it.Atoms {
			t := hunt.Target{Port: a.Port, Proto: a.Proto}
			switch a.Kind {
			case observable.Addr:
				ip, err := netip.ParseAddr(a.Value)
				if err != nil {
					return nil, err
				}
				t.Prefix = netip.PrefixFrom(ip, ip.BitLen())
			case observable.Prefix:
				t.Prefix, err = netip.ParsePrefix(a.Value)
				if err != nil {
					return nil, err
				}
			case observable.Port:
			default:
				continue
			}
			out = append(out, t)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s is not in force here, or has no address, prefix or port to hunt for", id)
	}
	return out, nil
}

// inForce reads the vault for one service.
func inForce(cfg Config, s contract.Services) ([]match.Item, error) {
	id, err := link.LoadIdentity(cfg.path("identity"))
	if err != nil {
		return nil, err
	}
	key, err := secret.Key(cfg.path("keys"), "vault.key", 32)
	if err != nil {
		return nil, err
	}
	items, err := link.Items(id, s, cfg.path("vault"), key)
	if err != nil {
		return nil, fmt.Errorf("the node's list cannot be read (has the node run yet?): %w", err)
	}
	return items, nil
}

func customerNames(ctx context.Context, cfg Config) (map[int32]string, error) {
	db, err := store.Open(ctx, cfg.database())
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, `SELECT id, name FROM customer`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	out := map[int32]string{}
	for rows.Next() {
		var id int32
		var name string
		err = rows.Scan(&id, &name)
		if err != nil {
			return nil, err
		}
		out[id] = name
	}
	return out, rows.Err()
}

// ChangeAccount resets a password (change "reset"; the new one is given back), or
// shuts an account out or lets it in again ("disable", "enable"). It is for whoever
// runs the machine and may be used beside a running node; the audit log has it.
func ChangeAccount(ctx context.Context, cfg Config, login, change string) (password string, err error) {
	db, err := store.Open(ctx, cfg.database())
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	return signin.New(db, signin.Config{}).Change(ctx, login, change)
}
