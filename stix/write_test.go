package stix

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var at2020 = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func TestBundleWriter(t *testing.T) {
	var out bytes.Buffer
	w := NewBundleWriter(&out, "bundle--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa")
	for _, bad := range []string{"", "5", `{"type":"identity"}`, `{"type":"identity","id":"tool--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"}`, identity(idA) + ",", `{"type":"bundle","id":"bundle--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"}`} {
		err := w.Add([]byte(bad))
		if err == nil {
			t.Errorf("%s: added", bad)
		}
	}
	in := []string{identity(idA), indicator, acs}
	for _, o := range in {
		err := w.Add([]byte(o))
		if err != nil {
			t.Fatal(err)
		}
	}
	err := w.Close()
	if err != nil || w.Count() != 3 {
		t.Fatal(err, w.Count())
	}
	if w.Add([]byte(identity(idB))) == nil {
		t.Error("added after the end")
	}
	r := NewReader(&out, Limits{})
	for i, want := range in {
		o, err := r.Next()
		if err != nil || string(o.Raw) != want {
			t.Errorf("object %d: %v", i, err)
		}
	}
	_, err = r.Next()
	if !errors.Is(err, io.EOF) || r.BundleID() != "bundle--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa" {
		t.Error(err, r.BundleID())
	}
}

func TestBundleWriterEmpty(t *testing.T) {
	var out bytes.Buffer
	err := NewBundleWriter(&out, "bundle--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa").Close()
	if err != nil || out.String() != `{"type":"bundle","id":"bundle--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"}`+"\n" {
		t.Error(out.String(), err)
	}
	if NewBundleWriter(&out, "x").Add([]byte(identity(idA))) == nil {
		t.Error("bad identifier taken")
	}
}

// full is a disk that is full.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

func TestBundleWriterFails(t *testing.T) {
	w := NewBundleWriter(full{}, "")
	for range 2 {
		err := w.Add([]byte(identity(idA)))
		if !errors.As(err, new(*WriteError)) || !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("got %v", err)
		}
	}
	if w.Close() == nil {
		t.Error("closed as if all were well")
	}
}

func TestDrafts(t *testing.T) {
	for _, c := range []struct {
		name string
		d    *Draft
		want string
	}{
		{
			"relationship", NewRelationship("relationship--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", at2020, "derived-from", idA, idB).Str("created_by_ref", idA),
			`{"created":"2020-01-01T00:00:00.000Z","created_by_ref":"` + idA + `","id":"relationship--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa","modified":"2020-01-01T00:00:00.000Z","relationship_type":"derived-from","source_ref":"` + idA + `","spec_version":"2.1","target_ref":"` + idB + `","type":"relationship"}`,
		},
		{
			"identity", NewIdentity(idA, at2020, "N \"q\"", "organization"),
			`{"created":"2020-01-01T00:00:00.000Z","id":"` + idA + `","identity_class":"organization","modified":"2020-01-01T00:00:00.000Z","name":"N \"q\"","spec_version":"2.1","type":"identity"}`,
		},
		{
			"grouping", NewGrouping("grouping--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", at2020, "suspicious-activity", []string{idA}).Int("x_n", -5).Flag("revoked", true).JSON("x_j", []byte(` [1.50] `)),
			`{"context":"suspicious-activity","created":"2020-01-01T00:00:00.000Z","id":"grouping--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa","modified":"2020-01-01T00:00:00.000Z","object_refs":["` + idA + `"],"revoked":true,"spec_version":"2.1","type":"grouping","x_j":[1.5],"x_n":-5}`,
		},
	} {
		got, err := c.d.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
		o := parse(t, string(got))
		for _, f := range o.Check() {
			t.Errorf("%s: %v", c.name, f)
		}
		if !bytes.Equal(o.Canonical(), got) {
			t.Errorf("%s is not canonical", c.name)
		}
	}
	for name, d := range map[string]*Draft{
		"identifier":       NewIdentity("tool--aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", at2020, "n", ""),
		"no name":          NewIdentity("", at2020, "", ""),
		"no time":          NewIdentity("", time.Time{}, "n", ""),
		"modified first":   NewDraft("identity", "", at2020, at2020.Add(-1)),
		"not UTF-8":        NewIdentity("", at2020, "\xff", ""),
		"twice":            NewIdentity("", at2020, "n", "").Str("name", "m"),
		"bad reference":    NewRelationship("", at2020, "uses", idA, "x"),
		"empty grouping":   NewGrouping("", at2020, "c", nil),
		"bad JSON":         NewIdentity("", at2020, "n", "").JSON("x", []byte("{")),
		"big number":       NewIdentity("", at2020, "n", "").Int("x", 1<<60),
		"year 10000":       NewIdentity("", at2020, "n", "").Time("x", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)),
		"bad part":         NewIdentity("", at2020, "n", "").Object("x", new(Draft).Str("y", "\xff")),
		"bad part of list": NewIdentity("", at2020, "n", "").Objects("x", []*Draft{new(Draft).Str("y", "\xff")}),
	} {
		got, err := d.Append(nil)
		if err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// BenchmarkBundleWriter passes objects through.
func BenchmarkBundleWriter(b *testing.B) {
	text := bundle(2000)
	var objects [][]byte
	r := NewReader(bytes.NewReader(text), Limits{})
	for {
		o, err := r.Next()
		if err != nil {
			break
		}
		objects = append(objects, o.Raw)
	}
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		w := NewBundleWriter(io.Discard, "")
		for _, o := range objects {
			err := w.Add(o)
			if err != nil {
				b.Fatal(err)
			}
		}
		err := w.Close()
		if err != nil {
			b.Fatal(err)
		}
	}
}
