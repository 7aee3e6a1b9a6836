package quarantine

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
)

// A file of the quarantine, all numbers big-endian:
//
//	8 bytes   "ecsq", three zeros, version 1
//	16 bytes  salt, random
//	then chunks, each:
//	4 bytes   length of what follows
//	          nonce (12 bytes, random), ciphertext, tag (16 bytes)
//
// The key of the file is HKDF-SHA256(key of the quarantine, salt, "ecs
// quarantine v1 " and the message's identifier), 32 bytes. Each chunk is sealed
// with AES-256-GCM; its associated data are the chunk's number from 0 (8 bytes)
// and one byte that is 1 for the last chunk, so that no chunk can be moved,
// left out, or cut off. Chunk 0 is the envelope in JSON; the message follows in
// chunks of 64 KiB, the last one shorter or empty.
const (
	fileMagic = "ecsq\x00\x00\x00\x01"
	saltSize  = 16
	chunkSize = 64 << 10
	maxSealed = chunkSize + 12 + 16
	keyInfo   = "ecs quarantine v1 "
)

// ErrTorn says that a file was cut, changed or sealed with another key.
var ErrTorn = errors.New("quarantine: the file is torn, was changed, or was sealed with another key")

func fileCipher(key, salt []byte, id string) (cipher.AEAD, error) {
	k, err := hkdf.Key(sha256.New, key, salt, keyInfo+id, 32)
	if err != nil {
		return nil, err
	}
	b, err := aes.NewCipher(k)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(b)
}

// sealer writes a file of the quarantine.
type sealer struct {
	w      io.Writer
	gcm    cipher.AEAD
	chunk  []byte
	sealed []byte
	n      uint64
	err    error
}

func newSealer(w io.Writer, key []byte, id string) (*sealer, error) {
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt) // never fails
	gcm, err := fileCipher(key, salt, id)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(append([]byte(fileMagic), salt...))
	return &sealer{w: w, gcm: gcm, chunk: make([]byte, 0, chunkSize)}, err
}

// Write implements [io.Writer].
func (s *sealer) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 && s.err == nil {
		if len(s.chunk) == chunkSize {
			s.seal(false)
		}
		m := copy(s.chunk[len(s.chunk):chunkSize], p)
		s.chunk = s.chunk[:len(s.chunk)+m]
		p = p[m:]
	}
	return n - len(p), s.err
}

// cut ends the chunk at hand.
func (s *sealer) cut() { s.seal(false) }

// end seals the last chunk.
func (s *sealer) end() error {
	s.seal(true)
	return s.err
}

func (s *sealer) seal(last bool) {
	if s.err != nil {
		return
	}
	s.sealed = append(s.sealed[:0], 0, 0, 0, 0)
	s.sealed = s.gcm.Seal(s.sealed, nil, s.chunk, chunkData(s.n, last))
	binary.BigEndian.PutUint32(s.sealed, uint32(len(s.sealed)-4))
	_, s.err = s.w.Write(s.sealed)
	s.n++
	s.chunk = s.chunk[:0]
}

func chunkData(n uint64, last bool) []byte {
	var d [9]byte
	binary.BigEndian.PutUint64(d[:], n)
	if last {
		d[8] = 1
	}
	return d[:]
}

// opener reads a file of the quarantine.
type opener struct {
	r     *bufio.Reader
	gcm   cipher.AEAD
	chunk []byte
	n     uint64
	last  bool
}

func newOpener(r io.Reader, key []byte, id string) (*opener, error) {
	br := bufio.NewReaderSize(r, maxSealed+4)
	head := make([]byte, len(fileMagic)+saltSize)
	_, err := io.ReadFull(br, head)
	if err != nil || string(head[:len(fileMagic)]) != fileMagic {
		return nil, ErrTorn
	}
	gcm, err := fileCipher(key, head[len(fileMagic):], id)
	if err != nil {
		return nil, err
	}
	return &opener{r: br, gcm: gcm}, nil
}

// next opens the next chunk.
func (o *opener) next() error {
	if o.last {
		return io.EOF
	}
	var size [4]byte
	_, err := io.ReadFull(o.r, size[:])
	if err != nil {
		return ErrTorn
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxSealed {
		return ErrTorn
	}
	sealed := make([]byte, n)
	_, err = io.ReadFull(o.r, sealed)
	if err != nil {
		return ErrTorn
	}
	_, err = o.r.Peek(1)
	o.last = errors.Is(err, io.EOF)
	o.chunk, err = o.gcm.Open(nil, nil, sealed, chunkData(o.n, o.last))
	if err != nil {
		return ErrTorn
	}
	o.n++
	return nil
}

// Read implements [io.Reader]. It gives only bytes that were verified, and
// io.EOF only after the last chunk.
func (o *opener) Read(p []byte) (int, error) {
	for len(o.chunk) == 0 {
		err := o.next()
		if err != nil {
			return 0, err
		}
	}
	n := copy(p, o.chunk)
	o.chunk = o.chunk[n:]
	return n, nil
}
