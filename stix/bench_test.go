package stix

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// bundle gives a bundle of indicators of about 500 bytes each, as sources
// publish them: markings on all, and on every fourth an extension, a kill chain
// and a description that needs escapes.
func bundle(n int) []byte {
	var b strings.Builder
	b.WriteString(`{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":[`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"type":"indicator","spec_version":"2.1","id":"indicator--%08x-17d4-4cbf-938f-98ee46b3cd3f",`, i)
		b.WriteString(`"created_by_ref":"identity--f431f809-377b-45e0-aa1c-6a4751cae5ff","created":"2024-04-06T20:03:48.000Z","modified":"2024-04-06T20:03:48.000Z",`)
		fmt.Fprintf(&b, `"name":"name %d","indicator_types":["malicious-activity"],"pattern":"[domain-name:value = 'host%d.example.com']","pattern_type":"stix",`, i, i)
		if i%4 == 0 {
			b.WriteString(`"description":"seen with \"loader\"\nsee the report","kill_chain_phases":[{"kill_chain_name":"lockheed-martin-cyber-kill-chain","phase_name":"delivery"}],`)
			b.WriteString(`"extensions":{"extension-definition--5b1e4a86-0c5c-4b3f-8a57-2f6d3c7e91a4":{"extension_type":"property-extension","rank":5}},`)
		}
		b.WriteString(`"confidence":85,"valid_from":"2024-04-06T20:03:48Z","object_marking_refs":["marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da"]}`)
	}
	b.WriteString("]}")
	return []byte(b.String())
}

// BenchmarkReader reads bundles as intake does: each object, its common
// properties, and what an indicator must have.
func BenchmarkReader(b *testing.B) {
	run := func(b *testing.B, text []byte, want int) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			r := NewReader(bytes.NewReader(text), Limits{})
			n := 0
			for {
				o, err := r.Next()
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil {
					b.Fatal(err)
				}
				if o.Type == "indicator" {
					_, err = o.Indicator()
					if err != nil {
						b.Fatal(err)
					}
				}
				n++
			}
			if n != want {
				b.Fatal(n)
			}
		}
		b.ReportMetric(float64(b.N)*float64(want)/b.Elapsed().Seconds(), "objects/s")
	}
	b.Run("indicators", func(b *testing.B) { run(b, bundle(2000), 2000) })
	b.Run("attack", func(b *testing.B) { run(b, attack(b), 1826) })
}

// BenchmarkCanonical reads bundles and writes each object in canonical form.
func BenchmarkCanonical(b *testing.B) {
	run := func(b *testing.B, text []byte) {
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		var out []byte
		for b.Loop() {
			r := NewReader(bytes.NewReader(text), Limits{})
			for {
				o, err := r.Next()
				if err != nil {
					break
				}
				out = o.AppendCanonical(out[:0])
			}
			if len(out) == 0 {
				b.Fatal("nothing read")
			}
		}
	}
	b.Run("indicators", func(b *testing.B) { run(b, bundle(2000)) })
	b.Run("attack", func(b *testing.B) { run(b, attack(b)) })
}
