package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"ecs/cmd/ecs/internal/demo"

	"github.com/miekg/dns"
)

type journeyCmd struct{ where }

// journey is one indicator on its way through a running demonstration.
type journey struct {
	l     demo.Layout
	known passwords
	began time.Time
	step  int

	id     string
	name   string     // the listed name
	remote netip.Addr // the listed address
}

// Run walks one indicator from file to recall. It ends with an error at the first
// step that does not go as it should.
func (c *journeyCmd) Run(ctx context.Context) error {
	l, err := c.layout()
	if err != nil {
		return err
	}
	j := &journey{l: l, known: passwords{path: l.Passwords()}, began: time.Now()}
	err = j.known.load()
	if err != nil {
		return err
	}
	if len(j.known.Accounts) == 0 {
		return demo.ErrNotRunning
	}
	b := make([]byte, 4)
	_, _ = rand.Read(b)
	j.name = "c2-" + hex.EncodeToString(b) + ".example"
	j.remote = netip.AddrFrom4([4]byte{198, 51, 100, 32 + b[0]%32})
	for _, part := range []func(context.Context) error{
		j.deliver, j.approve, j.inForce, j.stopped, j.told, j.counted, j.recall,
	} {
		err = part(ctx)
		if err != nil {
			return fmt.Errorf("step %d: %w", j.step+1, err)
		}
	}
	fmt.Printf("\nThe journey took %.0f seconds. Its whole story: http://%s/indicators/%s\n", time.Since(j.began).Seconds(), l.HubConsole(), j.id)
	return nil
}

func (j *journey) say(format string, args ...any) {
	j.step++
	fmt.Printf("%5.1f s  %2d. %s\n", time.Since(j.began).Seconds(), j.step, fmt.Sprintf(format, args...))
}

func (j *journey) more(format string, args ...any) {
	fmt.Printf("             %s\n", fmt.Sprintf(format, args...))
}

// until tries again until ok, or fails after a while.
func until(ctx context.Context, what string, limit time.Duration, ok func() (bool, error)) error {
	end := time.Now().Add(limit)
	for {
		done, err := ok()
		if err != nil || done {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("waited %v for %s: in vain", limit, what)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// deliver sends a bundle whose description names a person.
func (j *journey) deliver(ctx context.Context) error {
	now := time.Now().UTC().Truncate(time.Millisecond)
	uuid := func() string {
		b := make([]byte, 16)
		_, _ = rand.Read(b)
		b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	}
	bundle, err := json.MarshalIndent(map[string]any{
		"type": "bundle", "id": "bundle--" + uuid(),
		"objects": []map[string]any{{
			"type": "indicator", "spec_version": "2.1", "id": "indicator--" + uuid(),
			"created": now, "modified": now, "valid_from": now, "valid_until": now.AddDate(0, 0, 20),
			"name": "Control server of a sample family", "indicator_types": []string{"malicious-activity"},
			"description": "Found in the mailbox of jane.doe@valley-power.example.",
			"pattern":     fmt.Sprintf("[domain-name:value = '%s'] OR [ipv4-addr:value = '%s']", j.name, j.remote), "pattern_type": "stix",
			"confidence": 85, "object_marking_refs": []string{"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"},
		}},
	}, "", "  ")
	if err != nil {
		return err
	}
	rep, err := j.known.client(j.l, "grace").submit(ctx, delivered{Source: "national-cert", Name: "journey.json", Format: "stix"}, bytes.NewReader(bundle), nil)
	if err != nil {
		return err
	}
	if rep.Accepted != 1 {
		return fmt.Errorf("the hub did not accept it: %+v", rep)
	}
	items, _, err := j.known.client(j.l, "bruno").items(ctx, url.Values{"q": {j.name}})
	if err != nil {
		return err
	}
	if len(items) != 1 {
		return fmt.Errorf("%d indicators for %s", len(items), j.name)
	}
	j.id = items[0].ID
	j.say("Grace of the national CERT delivered a STIX 2.1 bundle: %s", j.id)
	j.more("pattern %s", items[0].Pattern)
	if items[0].State != "PRIVACY_GATE" {
		return fmt.Errorf("it is %s, but its description names a person", items[0].State)
	}
	story, err := j.known.client(j.l, "priya").item(ctx, j.id)
	if err != nil {
		return err
	}
	j.say("The privacy gate stopped it:")
	for _, f := range story.Findings {
		j.more("%s: %s", f.Code, f.Detail)
	}
	return nil
}

func (j *journey) approve(ctx context.Context) error {
	_, err := j.known.client(j.l, "priya").act(ctx, j.id, "privacy", order{
		Determination: "NECESSARY", Reason: "The address names the mailbox where it was found; it stays in the analysts' context and is never released.",
	})
	if err != nil {
		return err
	}
	j.say("Priya, privacy officer, determined: the context stays with the analysts, what is released names nobody.")
	_, err = j.known.client(j.l, "bruno").act(ctx, j.id, "first", order{Reason: "Checked against two further sightings."})
	if err != nil {
		return err
	}
	j.say("Bruno, analyst, approved it first.")
	_, err = j.known.client(j.l, "bruno").act(ctx, j.id, "second", order{Reason: "And again.", Targets: []target{{Provider: "northnet", Services: "all"}}})
	var p *problemError
	if !errors.As(err, &p) {
		return errors.New("Bruno could approve it twice")
	}
	j.say("Bruno tried the second approval as well, and was refused: %s", p.Detail)
	return nil
}

func (j *journey) inForce(ctx context.Context) error {
	released := time.Now()
	a, err := j.known.client(j.l, "rosa").act(ctx, j.id, "second", order{
		Reason: "Sure and current.", Targets: []target{{Provider: "northnet", Services: "all"}},
	})
	if err != nil {
		return err
	}
	j.say("Rosa, release authority, approved it second. Released:")
	for _, t := range a.Released {
		j.more("to %s for %s", t.Provider, t.Services)
	}
	for _, t := range a.Refused {
		j.more("not to %s for %s: %s", t.Provider, t.Services, t.Reason)
	}
	err = j.ledger(ctx, "loaded")
	if err != nil {
		return err
	}
	j.say("Northnet loaded it for all three services and sent a signed receipt, %d ms after the release.", time.Since(released).Milliseconds())
	return nil
}

// ledger waits until the ledger has this state for all three services.
func (j *journey) ledger(ctx context.Context, state string) error {
	return until(ctx, "the ledger saying "+state, 30*time.Second, func() (bool, error) {
		it, err := j.known.client(j.l, "rosa").item(ctx, j.id)
		if err != nil {
			return false, err
		}
		n := 0
		for _, d := range it.Deliveries {
			if strings.EqualFold(d.State, state) {
				n++
			}
		}
		return n == 3, nil
	})
}

// stopped has every customer meet the indicator in every service.
func (j *journey) stopped(ctx context.Context) error {
	// All of it in one window of feedback, so that enough customers meet in it.
	const window = 30 * time.Second
	if left := window - time.Duration(time.Now().UnixNano())%window; left < 8*time.Second {
		time.Sleep(left)
	}
	power := demo.Customers[0]
	answer, err := power.Ask(ctx, j.l, "www."+j.name, dns.TypeA)
	if err != nil {
		return err
	}
	j.say("A host of %s looked up www.%s:", power.Name, j.name)
	j.more("%s", answer)
	if !strings.Contains(answer, "192.0.2.253") {
		return errors.New("that is not the sinkhole's address")
	}
	answer, err = power.Receive(j.l, "news@sender.example", "Your statement", "Please see http://"+j.name+"/statement")
	if err != nil {
		return err
	}
	j.say("A mail to %s carried a link to it. Its server answered the sender:", power.Name)
	j.more("%s", answer)
	if !strings.HasPrefix(answer, "550") {
		return errors.New("the mail was not refused")
	}
	for _, c := range demo.Customers {
		for range 3 {
			_, err = c.Ask(ctx, j.l, j.name, dns.TypeA)
			if err != nil {
				return err
			}
		}
		err = c.Export(j.l, j.remote, 443, 8443, 4444)
		if err != nil {
			return err
		}
	}
	j.say("All seven customers looked it up, and exported flows to %s.", j.remote)
	return nil
}

// told waits for the notice of the flow and the name in the sample mail box.
func (j *journey) told(ctx context.Context) error {
	var text, link string
	err := until(ctx, "the notice to the customer", 30*time.Second, func() (bool, error) {
		files, err := filepath.Glob(filepath.Join(j.l.Mails(), "*.eml"))
		if err != nil {
			return false, err
		}
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				return false, err
			}
			if bytes.Contains(b, []byte(j.id)) && bytes.Contains(b, []byte("security@valley-power.example")) && bytes.Contains(b, []byte("netflow")) {
				text = string(b)
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	j.say("%s got a notice by mail:", demo.Customers[0].Name)
	_, body, _ := strings.Cut(text, "\r\n\r\n")
	for line := range strings.SplitSeq(body, "\r\n") {
		if rest, ok := strings.CutPrefix(line, "Please acknowledge this notice: "); ok {
			link = rest
		}
		if strings.Contains(line, ":  ") {
			j.more("%s", line)
		}
	}
	resp, err := http.PostForm(link, url.Values{"rating": {"5"}})
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the customer could not acknowledge it: %s", resp.Status)
	}
	j.say("The customer acknowledged it, and found it useful.")
	return nil
}

var (
	windowLink = regexp.MustCompile(`href="(/feedback/(\d+)/dns)"`)
	seenValue  = regexp.MustCompile(`name="seen" value="([0-9a-f]{64})"`)
)

// counted waits for the end of the day, has Olga review the exact bytes, and
// waits for the count at the hub.
func (j *journey) counted(ctx context.Context) error {
	j.say("Now the day has to end (half a minute in the demonstration) …")
	olga, err := j.signIn("olga")
	if err != nil {
		return err
	}
	base := "http://" + j.l.ProviderConsole()
	var path, seen string
	err = until(ctx, "the window of feedback", 90*time.Second, func() (bool, error) {
		page, err := fetch(olga, base+"/feedback")
		if err != nil {
			return false, err
		}
		for _, m := range windowLink.FindAllStringSubmatch(page, -1) {
			one, err := fetch(olga, base+m[1])
			if err != nil {
				return false, err
			}
			s := seenValue.FindStringSubmatch(one)
			if s != nil && strings.Contains(one, j.id) {
				path, seen = m[1], s[1]
				return true, nil
			}
		}
		time.Sleep(time.Second)
		return false, nil
	})
	if err != nil {
		return err
	}
	j.say("Olga, operator at Northnet, looked at the exact bytes that would leave: http://%s%s", j.l.ProviderConsole(), path)
	resp, err := olga.PostForm(base+path+"/approve", url.Values{"seen": {seen}})
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	var line struct {
		Indicator string `json:"indicator"`
		Events    string `json:"events"`
		Customers string `json:"customers"`
	}
	err = until(ctx, "the count at the hub", 30*time.Second, func() (bool, error) {
		var t struct {
			Lines []json.RawMessage `json:"lines"`
		}
		err := j.known.client(j.l, "rosa").get(ctx, "/api/v1/feedback", url.Values{"by": {"indicator"}, "limit": {"1000"}}, &t)
		if err != nil {
			return false, err
		}
		for _, raw := range t.Lines {
			err = json.Unmarshal(raw, &line)
			if err != nil {
				return false, err
			}
			if line.Indicator == j.id {
				return true, nil
			}
		}
		return false, nil
	})
	if err != nil {
		return err
	}
	j.say("She let them go. The hub now knows, of this indicator: %s events at %s customers. Not who, not when, not what else.", line.Events, line.Customers)
	return nil
}

func (j *journey) signIn(login string) (*http.Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	c := &http.Client{Jar: jar, Timeout: 30 * time.Second}
	base := "http://" + j.l.ProviderConsole()
	for _, a := range j.known.Accounts {
		if a.Login != login || a.House != "provider" {
			continue
		}
		resp, err := c.PostForm(base+"/sign-in", url.Values{"login": {login}, "password": {a.Password}, "next": {"/"}})
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s cannot sign in: %s", login, resp.Status)
		}
	}
	return c, nil
}

func fetch(c *http.Client, at string) (string, error) {
	resp, err := c.Get(at)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", at, resp.Status)
	}
	return string(b), err
}

func (j *journey) recall(ctx context.Context) error {
	recalled := time.Now()
	_, err := j.known.client(j.l, "rosa").act(ctx, j.id, "recall", order{Reason: "End of the demonstration."})
	if err != nil {
		return err
	}
	err = j.ledger(ctx, "removed")
	if err != nil {
		return err
	}
	j.say("Rosa recalled it. Northnet confirmed its removal from all three services, %d ms later.", time.Since(recalled).Milliseconds())
	power := demo.Customers[0]
	answer, err := power.Ask(ctx, j.l, "www."+j.name, dns.TypeA)
	if err != nil {
		return err
	}
	mail, err := power.Receive(j.l, "news@sender.example", "Your statement", "Please see http://"+j.name+"/statement")
	if err != nil {
		return err
	}
	j.say("The same look-up and the same mail again:")
	j.more("%s", answer)
	j.more("%s", mail)
	if strings.Contains(answer, "192.0.2.253") || !strings.HasPrefix(mail, "250") {
		return errors.New("it is still in force")
	}
	return nil
}
