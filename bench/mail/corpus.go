//go:build linux

package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
)

// message is one message of the corpus, in the pieces in which a mail server
// hands it over.
type message struct {
	sender string
	header [][2]string
	body   []byte
	listed bool
}

func (m *message) size() int {
	n := len(m.body)
	for _, h := range m.header {
		n += len(h[0]) + len(h[1]) + 4
	}
	return n
}

// raw gives the message as a file.
func (m *message) raw() []byte {
	var b bytes.Buffer
	for _, h := range m.header {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	b.Write(m.body)
	return b.Bytes()
}

// corpus makes n messages, always the same for the same n: 70 % text and HTML
// of 5 to 50 KB, 25 % with one attachment of 50 to 500 KB, 5 % of 1 to 5 MB; one
// in a hundred names a listed indicator. small leaves only the first kind.
func corpus(n int, small bool, indicators int) []*message {
	r := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 8<<20)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	words := make([]string, 4000)
	for i := range words {
		b := make([]byte, 2+r.IntN(9))
		for j := range b {
			b[j] = "etaoinshrdlucmfwypvbgkjqxz"[min(r.IntN(26), r.IntN(26))]
		}
		words[i] = string(b)
	}
	out := make([]*message, n)
	for i := range out {
		m := &message{sender: fmt.Sprintf("user%d@sender%d.example", i, i%500)}
		out[i] = m
		m.listed = i%100 == 50
		size, attach := 5_000+r.IntN(45_000), 0
		kind := r.IntN(100)
		switch {
		case small || kind < 70:
		case kind < 95:
			size, attach = 5_000, 50_000+r.IntN(450_000)
		default:
			size, attach = 5_000, 1_000_000+r.IntN(4_000_000)
		}
		host := fmt.Sprintf("host%d.shop%d.example", r.IntN(1000), r.IntN(5000))
		bad := ""
		if m.listed {
			bad = fmt.Sprintf(" http://www.listed-%d.example/x ", r.IntN(indicators/10)*10)
		}
		m.header = [][2]string{
			{"Received", "from " + host + " (" + host + " [192.0.2.7])\n\tby mx.customer.example with ESMTPS id " + fmt.Sprint(i)},
			{"From", "Some Body <" + m.sender + ">"},
			{"To", "x@customer.example"},
			{"Subject", text(r, words, 40, "")},
			{"Message-ID", fmt.Sprintf("<%d@%s>", i, host)},
			{"Date", "Sat, 21 Nov 2026 12:00:00 +0000"},
			{"MIME-Version", "1.0"},
			{"Content-Type", "multipart/mixed; boundary=\"outer\""},
		}
		var b bytes.Buffer
		b.WriteString("--outer\r\nContent-Type: multipart/alternative; boundary=\"inner\"\r\n\r\n--inner\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n")
		b.WriteString(text(r, words, size/3, "http://"+host+"/a?b=c") + bad)
		b.WriteString("\r\n--inner\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n")
		html(&b, r, words, size*2/3, host)
		b.WriteString("\r\n--inner--\r\n")
		if attach > 0 {
			b.WriteString("--outer\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=\"file" + fmt.Sprint(i) + ".bin\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
			at := r.IntN(len(noise) - attach)
			lines(&b, noise[at:at+attach])
		}
		b.WriteString("--outer--\r\n")
		m.body = b.Bytes()
	}
	return out
}

func text(r *rand.Rand, words []string, size int, url string) string {
	var b bytes.Buffer
	col := 0
	for b.Len() < size {
		w := words[r.IntN(len(words))]
		if url != "" && r.IntN(150) == 0 {
			w = url
		}
		b.WriteString(w)
		col += len(w) + 1
		if col > 70 && url != "" {
			b.WriteString("\r\n")
			col = 0
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

func html(b *bytes.Buffer, r *rand.Rand, words []string, size int, host string) {
	start := b.Len()
	b.WriteString("<html><head><style>p { color: #333 }</style></head><body>\r\n")
	for b.Len()-start < size {
		fmt.Fprintf(b, "<p class=3D\"c%d\">%s <a href=3D\"https://%s/%s?id=3D%d\">%s</a></p>\r\n",
			r.IntN(9), text(r, words, 60+r.IntN(200), ""), host, words[r.IntN(len(words))], r.IntN(1e6), words[r.IntN(len(words))])
	}
	b.WriteString("</body></html>")
}

func lines(b *bytes.Buffer, data []byte) {
	for len(data) > 0 {
		n := min(57, len(data))
		b.WriteString(base64.StdEncoding.EncodeToString(data[:n]))
		b.WriteString("\r\n")
		data = data[n:]
	}
}
