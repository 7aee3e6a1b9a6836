package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"
)

// memoryLimit is what the hub may have resident at most, in MiB, whatever is
// delivered.
const memoryLimit = 500

// peak gives the most that a process has had resident, in MiB.
func peak(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		missing(t, "the memory of a process cannot be read here: "+err.Error())
	}
	for l := range strings.Lines(string(b)) {
		kib, ok := strings.CutPrefix(l, "VmHWM:")
		if ok {
			n, err := strconv.Atoi(strings.Fields(kib)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n / 1024
		}
	}
	t.Fatal("the status names no peak")
	return 0
}

// stream is a body of so many bytes that nobody has to hold: its unit again and
// again, between a head and a tail.
func stream(head, unit, tail string, n int64) io.Reader {
	return io.MultiReader(strings.NewReader(head), io.LimitReader(&repeated{unit: unit}, n/int64(len(unit))*int64(len(unit))), strings.NewReader(tail))
}

type repeated struct {
	unit string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	for n := 0; ; {
		c := copy(p[n:], r.unit[r.at:])
		n, r.at = n+c, (r.at+c)%len(r.unit)
		if n == len(p) {
			return n, nil
		}
	}
}

// TestDeliveryMemory delivers what is large in every way that the formats know, and
// looks at what the hub has had resident.
func TestDeliveryMemory(t *testing.T) {
	var misp bytes.Buffer
	misp.WriteString(`{"Event":{"uuid":"5d0092c5-5f74-4287-9642-33f4c354e56d","info":"large","date":"2026-11-01","Attribute":[`)
	const attributes = 150_000
	for i := range attributes {
		if i > 0 {
			misp.WriteByte(',')
		}
		fmt.Fprintf(&misp, `{"uuid":"5d0092c5-5f74-4287-9642-%012x","type":"domain","category":"Network activity","to_ids":true,"value":"h%d.misp.example","timestamp":"1793491200","comment":"seen"}`, i, i)
	}
	misp.WriteString(`]}}`)
	const rows = 100_000
	sheet := filepath.Join(t.TempDir(), "large.xlsx")
	book := excelize.NewFile()
	w, err := book.NewStreamWriter("Sheet1")
	if err == nil {
		err = w.SetRow("A1", []any{"value", "category", "summary"})
	}
	for i := range rows {
		if err == nil {
			err = w.SetRow("A"+strconv.Itoa(i+2), []any{fmt.Sprintf("h%d.sheet.example", i), "c2", "Seen by somebody, somewhere, at some time"})
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = book.SaveAs(sheet)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, format string
		body         func() io.Reader
		items        int // that have to be there; 0: what is said does not matter
	}{
		{"1 GB of garbage as STIX", "stix", func() io.Reader { return stream("", "garbage \x00\xff{[\"", "", 1_000_000_000) }, 0},
		{"400 MB in one string", "stix", func() io.Reader {
			return stream(`{"type":"bundle","objects":[{"type":"indicator","id":"`, "aaaaaaaa", `"}]}`, 400_000_000)
		}, 0},
		{"400 MB of brackets", "stix", func() io.Reader { return stream(`{"type":"bundle","objects":[`, "[[[[{", "", 400_000_000) }, 0},
		{"400 MB in one line of a table", "csv", func() io.Reader { return stream("value,category\n", "abcdefgh,", "\n", 400_000_000) }, 0},
		{"MISP event of 150,000 attributes", "misp", func() io.Reader { return bytes.NewReader(misp.Bytes()) }, attributes},
		{"XLSX of 100,000 rows", "xlsx", func() io.Reader {
			f, err := os.ReadFile(sheet)
			if err != nil {
				t.Fatal(err)
			}
			return bytes.NewReader(f)
		}, rows},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := startHub(t, "demonstration: true\n")
			idle := peak(t, h.cmd.Process.Pid)
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.url+"/api/v1/batches?source=national-cert&name=large&format="+tt.format, tt.body())
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth("grace", h.passwords["grace"])
			began := time.Now()
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			said, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode >= 500 {
				t.Fatalf("%s, %v: %.300s", resp.Status, err, said)
			}
			most := peak(t, h.cmd.Process.Pid)
			t.Logf("%.1f s, %d MiB at most, %d before: %s %.160s", time.Since(began).Seconds(), most, idle, resp.Status, said)
			if most > memoryLimit {
				t.Errorf("%d MiB resident, limit %d", most, memoryLimit)
			}
			if tt.items > 0 && !strings.Contains(string(said), fmt.Sprintf(`"accepted":%d`, tt.items)) {
				t.Errorf("said: %.1200s", said)
			}
		})
	}
}
