package mime

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"
	"github.com/jhillyerd/enmime/v2"
	"pgregory.net/rapid"
)

// generated makes messages that are well-formed but varied, and gives what the
// attachments in them are.
func generated(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("From: a@friend.example\r\nSubject: x\r\nMIME-Version: 1.0\r\n")
	part(t, &b, 0)
	return b.String()
}

func part(t *rapid.T, b *strings.Builder, depth int) {
	if depth < 3 && rapid.IntRange(0, 2).Draw(t, "multi") > 0 {
		bound := rapid.StringMatching(`[A-Za-z0-9'+_=.-]{1,20}`).Draw(t, "bound") + "x" + strings.Repeat("y", depth)
		b.WriteString("Content-Type: multipart/mixed; boundary=\"" + bound + "\"\r\n\r\n")
		for range rapid.IntRange(1, 3).Draw(t, "parts") {
			b.WriteString("\r\n--" + bound + "\r\n")
			part(t, b, depth+1)
		}
		b.WriteString("\r\n--" + bound + "--\r\n")
		return
	}
	b.WriteString("Content-Type: application/octet-stream; name=\"a.bin\"\r\nContent-Disposition: attachment; filename=\"a.bin\"\r\n")
	data := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "data")
	switch rapid.IntRange(0, 1).Draw(t, "encoding") {
	case 0:
		b.WriteString("Content-Transfer-Encoding: base64\r\n\r\n" + strings.TrimSuffix(crlf(b64(data)), "\r\n"))
	default:
		b.WriteString("Content-Transfer-Encoding: quoted-printable\r\n\r\n")
		col := 0
		for _, c := range data {
			b.WriteString("=" + strings.ToUpper(hex.EncodeToString([]byte{c})))
			col += 3
			if col > 70 {
				b.WriteString("=\r\n")
				col = 0
			}
		}
	}
}

// TestOracles compares the attachments that we see with those that two other
// readers see. We may see more: never less.
func TestOracles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := generated(t)
		got, res := walk(raw, Budget{}, 1000)
		if res.Signs != 0 || res.Over != 0 {
			t.Fatalf("a plain message has signs %q, over %q", res.Signs, res.Over)
		}
		see := func(who string, data []byte) {
			h := sha256.Sum256(data)
			if len(data) > 0 && !got["attachment sha256 "+hex.EncodeToString(h[:])] {
				t.Fatalf("%s sees an attachment of %d bytes that we do not, in\n%s", who, len(data), raw)
			}
		}
		env, err := enmime.ReadEnvelope(strings.NewReader(raw))
		if err == nil {
			for _, a := range append(env.Attachments, env.OtherParts...) {
				see("enmime", a.Content)
			}
		}
		e, err := message.Read(strings.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		err = e.Walk(func(_ []int, e *message.Entity, err error) error {
			if err != nil {
				return err
			}
			if e.MultipartReader() == nil {
				var b bytes.Buffer
				_, err = io.Copy(&b, e.Body)
				see("go-message", b.Bytes())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
