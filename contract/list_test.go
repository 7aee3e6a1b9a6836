package contract

import (
	"crypto/sha256"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// oracle computes the root as docs/formats/checkpoint.md words it, from a map,
// anew each time.
func oracle(in map[ID]Digest) Digest {
	ids := make([]ID, 0, len(in))
	for id := range in {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b ID) int { return slices.Compare(a[:], b[:]) })
	var empty [17]Digest // by height: 0 is an empty bucket
	for h := 1; h <= 16; h++ {
		empty[h] = sha256.Sum256(slices.Concat([]byte{1}, empty[h-1][:], empty[h-1][:]))
	}
	var subtree func(ids []ID, height int) Digest
	subtree = func(ids []ID, height int) Digest {
		if len(ids) == 0 {
			return empty[height]
		}
		if height == 0 {
			text := []byte{2}
			for _, id := range ids {
				d := in[id]
				text = append(text, d[:]...)
			}
			return sha256.Sum256(text)
		}
		bit := height - 1 // of the first two bytes, the highest first
		isRight := func(id ID) bool { return (int(id[0])<<8|int(id[1]))>>bit&1 == 1 }
		var left, right []ID
		for _, id := range ids {
			if isRight(id) {
				right = append(right, id)
			} else {
				left = append(left, id)
			}
		}
		l, r := subtree(left, height-1), subtree(right, height-1)
		return sha256.Sum256(slices.Concat([]byte{1}, l[:], r[:]))
	}
	return subtree(ids, 16)
}

func TestListAgainstOracle(t *testing.T) {
	type entry struct {
		hash  Digest
		until int64
	}
	rapid.Check(t, func(t *rapid.T) {
		l, model, now := NewList(), map[ID]entry{}, int64(1000)
		// Few identifiers in few buckets, so that they meet.
		id := rapid.Custom(func(t *rapid.T) ID {
			return ID{rapid.SampledFrom([]byte{0, 1, 0x7f, 0x80, 0xff}).Draw(t, "a"), rapid.SampledFrom([]byte{0, 1, 0xff}).Draw(t, "b"), 2: rapid.Byte().Draw(t, "c") & 3, 15: 1}
		})
		roots := func() {
			plain := map[ID]Digest{}
			for k, v := range model {
				plain[k] = v.hash
			}
			if l.Root() != oracle(plain) || l.Len() != len(model) {
				t.Fatalf("root %s of %d, want %s of %d", l.Root(), l.Len(), oracle(plain), len(model))
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				k := id.Draw(t, "id")
				e := entry{hash: sha256.Sum256([]byte(rapid.String().Draw(t, "object"))), until: now + rapid.Int64Range(1, 100).Draw(t, "life")}
				model[k] = e
				l.Put(k, e.hash, time.UnixMicro(e.until))
			},
			"remove": func(t *rapid.T) {
				k := id.Draw(t, "id")
				_, there := model[k]
				delete(model, k)
				if l.Remove(k) != there {
					t.Fatalf("Remove(%s) says %v", k, !there)
				}
			},
			"expire": func(t *rapid.T) {
				now += rapid.Int64Range(0, 60).Draw(t, "pass")
				want := map[ID]bool{}
				for k, e := range model {
					if e.until <= now {
						want[k] = true
						delete(model, k)
					}
				}
				gone := l.Expire(time.UnixMicro(now))
				for _, k := range gone {
					if !want[k] {
						t.Fatalf("%s expired and should not have, or twice", k)
					}
					delete(want, k)
				}
				if len(want) > 0 {
					t.Fatalf("did not expire: %v", want)
				}
			},
			"has": func(t *rapid.T) {
				k := id.Draw(t, "id")
				_, there := model[k]
				if l.Has(k) != there {
					t.Fatalf("Has(%s) is %v", k, !there)
				}
			},
			"": func(*rapid.T) { roots() },
		})
	})
}

// The root says what is in force, not how it came to be.
func TestRootIsIndependentOfHistory(t *testing.T) {
	until := time.Unix(2000, 0)
	var ids []ID
	for range 500 {
		ids = append(ids, NewID())
	}
	a, b := NewList(), NewList()
	for _, id := range ids {
		a.Put(id, sha256.Sum256(id[:]), until)
	}
	slices.Reverse(ids)
	for i, id := range ids {
		extra := NewID()
		b.Put(extra, Digest{1}, until)
		b.Put(id, Digest{9}, until)
		b.Put(id, sha256.Sum256(id[:]), until)
		if i%7 == 0 {
			b.Root()
		}
		b.Remove(extra)
	}
	if a.Root() != b.Root() || a.Len() != b.Len() {
		t.Fatal("equal lists have different roots")
	}
	if NewList().Root() != oracle(nil) {
		t.Fatal("the root of the empty list")
	}
}

func TestLeaf(t *testing.T) {
	e := Entry{Seq: 7, Services: DNS | NetFlow, Object: []byte(`{"a":1}`)}
	want := Digest(sha256.Sum256([]byte("\x00\x05" + `{"a":1}`)))
	if e.Leaf() != want {
		t.Fatal("a leaf is SHA-256(0x00, services, object)")
	}
	e.Seq = 8
	if e.Leaf() != want {
		t.Fatal("the sequence number counts in the leaf")
	}
	e.Services = DNS
	if e.Leaf() == want {
		t.Fatal("the services do not count in the leaf")
	}
}

// BenchmarkRoot measures one change to a list of 100,000, with its new root.
func BenchmarkRoot(b *testing.B) {
	l, until := NewList(), time.Unix(2_000_000_000, 0)
	for range 100_000 {
		l.Put(NewID(), Digest{1}, until)
	}
	l.Root()
	id := NewID()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l.Put(id, Digest{byte(i)}, until)
		l.Root()
	}
}
