package mime

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"sync"

	"ecs/observable"
)

// sums computes the wanted digests while the bytes pass.
type sums struct {
	want Digests
	h    [4]hash.Hash
	sum  [64]byte
	text [128]byte
}

var sumKinds = [4]observable.Kind{observable.MD5, observable.SHA1, observable.SHA256, observable.SHA512}

// MD5 and SHA-1 are here because indicators name files by them, not for any
// security of ours.
var sumPool = sync.Pool{New: func() any {
	return &sums{h: [4]hash.Hash{md5.New(), sha1.New(), sha256.New(), sha512.New()}}
}}

func newSums(want Digests) *sums {
	s := sumPool.Get().(*sums)
	s.want = want
	for i, h := range s.h {
		if want&(1<<i) != 0 {
			h.Reset()
		}
	}
	return s
}

func (s *sums) write(b []byte) {
	for i, h := range s.h {
		if s.want&(1<<i) != 0 {
			_, _ = h.Write(b)
		}
	}
}

func (s *sums) tell(r *run, p Place) {
	for i, h := range s.h {
		if s.want&(1<<i) == 0 {
			continue
		}
		d := h.Sum(s.sum[:0])
		n := hex.Encode(s.text[:], d)
		r.find(p, sumKinds[i], s.text[:n])
	}
}

func (s *sums) free() { sumPool.Put(s) }

// name hands over a file name, and what is left of it without a path.
func (r *run) name(p Place, n []byte) {
	r.find(p, observable.FileName, n)
	i := bytes.LastIndexAny(n, `/\`)
	if i >= 0 {
		r.find(p, observable.FileName, n[i+1:])
	}
}
