package mail

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-message/textproto"
	client "github.com/emersion/go-milter"
	"github.com/emersion/go-smtp"
)

func dialSMTP(t testing.TB, addr string) *smtp.Client {
	t.Helper()
	c, err := smtp.Dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Hello("client.test")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// overMilter hands a message to the room with an independent client and gives
// the answer in words.
func overMilter(t testing.TB, r *room, to, raw string) string {
	t.Helper()
	c := client.NewClientWithOptions("tcp", r.Addrs()[0].String(), client.ClientOptions{
		ActionMask: client.OptAddHeader | client.OptChangeHeader | client.OptRemoveRcpt, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
	})
	s, err := c.Session()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	step := func(a *client.Action, err error) {
		t.Helper()
		if err != nil || a.Code != client.ActContinue {
			t.Fatalf("%+v %v", a, err)
		}
	}
	step(s.Mail("a@friend.example", nil))
	step(s.Rcpt(to, nil))
	head, body, _ := strings.Cut(raw, "\n\n")
	var h textproto.Header
	lines := strings.Split(head, "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		k, v, _ := strings.Cut(lines[i], ":")
		h.Add(k, strings.TrimSpace(v))
	}
	act, err := s.Header(h)
	if err != nil {
		t.Fatal(err)
	}
	if act.Code == client.ActContinue {
		_, act, err = s.BodyReadFrom(strings.NewReader(strings.ReplaceAll(body, "\n", "\r\n")))
		if err != nil {
			t.Fatal(err)
		}
	}
	switch act.Code {
	case client.ActAccept:
		return "accept"
	case client.ActDiscard:
		return "discard"
	case client.ActReplyCode:
		return fmt.Sprint(act.SMTPCode, " ", act.SMTPText)
	default:
		return fmt.Sprintf("%c", act.Code)
	}
}
