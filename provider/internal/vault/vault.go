// Package vault keeps the last good list of indicators across restarts, sealed.
//
// The list is one file of frames, each encrypted and authenticated with
// AES-256-GCM under the node's key; docs/formats/vault.md gives it byte by byte.
// A frame holds the log entries of one change and the signed checkpoint that
// they complete, so that a list is never half new: a frame counts whole or not
// at all. A torn last frame (power lost while writing) is cut off at the next
// start and said so; a damaged frame before the last makes the vault refuse to
// open, because a list with a hole is not a list.
//
// The vault does not judge checkpoints and does not match: that is for link and
// match.
package vault

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"ecs/contract"
)

const (
	fileName  = "list.ecsvault"
	lockName  = "lock"
	magic     = "ECSVLT1\n"
	maxFrame  = 64 << 20
	batchSize = 2000 // entries in one frame of a compacted file
)

// Frame is one change of the list.
type Frame struct {
	Entries    []contract.Entry `json:"entries"`
	Checkpoint string           `json:"checkpoint,omitempty"` // signed note; empty in all but the last frame of a run
}

// Vault is an open vault. It is used by one goroutine, link's.
type Vault struct {
	dir    string
	aead   cipher.AEAD
	file   *os.File
	lock   *os.File
	number uint64 // of the next frame
	size   int64  // up to the end of the last good frame
	Torn   int64  // bytes that were cut off at Open
}

// ErrInUse says that another process has the vault open.
var ErrInUse = errors.New("vault: another node is running on this folder: stop it first")

// ErrDamaged says that the file was altered or is not sealed with this key.
var ErrDamaged = errors.New("vault: the sealed list is damaged or sealed with another key; move it away to start with an empty list, which the hub will fill again")

// Open opens or makes the vault in a directory and hands every complete frame
// to load, oldest first. Key is 32 bytes.
func Open(dir string, key []byte, load func(Frame) error) (*Vault, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	err = os.MkdirAll(dir, 0o700)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	v := &Vault{dir: dir, aead: aead}
	v.lock, err = os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	err = syscall.Flock(int(v.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err != nil {
		return nil, errors.Join(ErrInUse, v.lock.Close())
	}
	_ = os.Remove(v.path() + ".new") // a compaction that was cut short
	v.file, err = os.OpenFile(v.path(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("vault: %w", err), v.lock.Close())
	}
	err = v.recover(load)
	if err != nil {
		return nil, errors.Join(err, v.Close())
	}
	return v, nil
}

// Read hands every complete change in the vault to load and alters nothing, so
// that it can be used beside the node that has the vault open.
func Read(dir string, key []byte, load func(Frame) error) error {
	block, err := aes.NewCipher(key)
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	f, err := os.Open(filepath.Join(dir, fileName))
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	defer func() { _ = f.Close() }()
	return (&Vault{dir: dir, aead: aead, file: f}).scan(load)
}

func (v *Vault) path() string { return filepath.Join(v.dir, fileName) }

func (v *Vault) recover(load func(Frame) error) error {
	info, err := v.file.Stat()
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	if info.Size() < int64(len(magic)) {
		return v.begin()
	}
	err = v.scan(load)
	if err != nil {
		return err
	}
	v.Torn = info.Size() - v.size
	err = v.file.Truncate(v.size)
	if err != nil {
		return fmt.Errorf("vault: cut off a torn frame: %w", err)
	}
	return nil
}

// scan reads the file from its beginning and stops behind the last frame with a
// checkpoint: what follows was never in force.
func (v *Vault) scan(load func(Frame) error) error {
	info, err := v.file.Stat()
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	r := bufio.NewReaderSize(v.file, 1<<20)
	head := make([]byte, len(magic))
	_, err = io.ReadFull(r, head)
	if err != nil || string(head) != magic {
		return ErrDamaged
	}
	v.size = int64(len(magic))
	var run []Frame // frames since the last checkpoint
	runStart, runNumber := v.size, v.number
	for {
		f, n, err := v.next(r, info.Size()-v.size)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		v.size += n
		v.number++
		run = append(run, f)
		if f.Checkpoint == "" {
			continue
		}
		for _, whole := range run {
			err = load(whole)
			if err != nil {
				return err
			}
		}
		run = run[:0]
		runStart, runNumber = v.size, v.number
	}
	v.size, v.number = runStart, runNumber
	return nil
}

func (v *Vault) begin() error {
	v.size, v.number = int64(len(magic)), 0
	err := v.file.Truncate(0)
	if err == nil {
		_, err = v.file.WriteAt([]byte(magic), 0)
	}
	if err == nil {
		err = v.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	return syncDir(v.dir)
}

// next reads one frame; left is how many bytes the file still has. io.EOF means
// that no complete frame is left.
func (v *Vault) next(r io.Reader, left int64) (Frame, int64, error) {
	var f Frame
	var head [4]byte
	_, err := io.ReadFull(r, head[:])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return f, 0, io.EOF
	}
	if err != nil {
		return f, 0, fmt.Errorf("vault: %w", err)
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if 4+n > left {
		return f, 0, io.EOF // the last frame was not written to its end
	}
	if n > maxFrame {
		return f, 0, ErrDamaged
	}
	sealed := make([]byte, n)
	_, err = io.ReadFull(r, sealed)
	if err != nil {
		return f, 0, fmt.Errorf("vault: %w", err)
	}
	plain, err := v.aead.Open(nil, nil, sealed, v.context(v.number))
	if err != nil {
		if 4+n == left {
			return f, 0, io.EOF // written to its length but not its content
		}
		return f, 0, ErrDamaged
	}
	err = json.Unmarshal(plain, &f)
	if err != nil {
		return f, 0, ErrDamaged
	}
	return f, 4 + n, nil
}

// context binds a frame to its place, so that frames cannot be reordered,
// dropped from the middle, or repeated.
func (v *Vault) context(number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte("ecs vault frame "), number)
}

func (v *Vault) seal(f Frame, number uint64) ([]byte, error) {
	// Not json.Marshal: it would rewrite <, > and & inside the objects, whose
	// exact bytes the checkpoint speaks of.
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(f)
	if err != nil {
		return nil, fmt.Errorf("vault: %w", err)
	}
	plain := b.Bytes()
	if len(plain) > maxFrame/2 {
		return nil, fmt.Errorf("vault: frame of %d bytes is over the limit", len(plain))
	}
	sealed := v.aead.Seal(make([]byte, 4, 4+len(plain)+64), nil, plain, v.context(number))
	binary.BigEndian.PutUint32(sealed, uint32(len(sealed)-4))
	return sealed, nil
}

// Append writes one change and waits until it is on the disk. When that fails
// (a full disk), the vault stays as it was before.
func (v *Vault) Append(entries []contract.Entry, checkpoint string) error {
	var buf []byte
	number := v.number
	for first := true; first || len(entries) > 0; first = false {
		n := min(len(entries), batchSize)
		f := Frame{Entries: entries[:n]}
		entries = entries[n:]
		if len(entries) == 0 {
			f.Checkpoint = checkpoint
		}
		sealed, err := v.seal(f, number)
		if err != nil {
			return err
		}
		buf = append(buf, sealed...)
		number++
	}
	_, err := v.file.WriteAt(buf, v.size)
	if err == nil {
		err = v.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("vault: %w", err), v.file.Truncate(v.size))
	}
	v.size += int64(len(buf))
	v.number = number
	return nil
}

// Replay hands every frame in the vault to load again, oldest first.
func (v *Vault) Replay(load func(Frame) error) error {
	r := bufio.NewReaderSize(io.NewSectionReader(v.file, int64(len(magic)), v.size-int64(len(magic))), 1<<20)
	reader := &Vault{aead: v.aead}
	for left := v.size - int64(len(magic)); left > 0; {
		f, n, err := reader.next(r, left)
		if errors.Is(err, io.EOF) {
			return ErrDamaged // it was whole when it was written
		}
		if err != nil {
			return err
		}
		err = load(f)
		if err != nil {
			return err
		}
		left -= n
		reader.number++
	}
	return nil
}

// Size gives the file's size in bytes.
func (v *Vault) Size() int64 { return v.size }

// Compact replaces the file with one that holds only the newest entry of each
// indicator for which keep is true, under the given checkpoint. It fails
// without harm: the old file stays.
func (v *Vault) Compact(checkpoint string, keep func(contract.ID) bool) error {
	newest := map[contract.ID]contract.Entry{}
	err := v.Replay(func(f Frame) error {
		for _, e := range f.Entries {
			x, err := contract.ParseIndicator(e.Object)
			if err == nil && keep(x.ID) {
				newest[x.ID] = e
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fresh := &Vault{dir: v.dir, aead: v.aead}
	fresh.file, err = os.OpenFile(v.path()+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("vault: %w", err)
	}
	err = fresh.begin()
	if err == nil {
		all := make([]contract.Entry, 0, len(newest))
		for _, e := range newest {
			all = append(all, e)
		}
		err = fresh.Append(all, checkpoint)
	}
	if err == nil {
		err = os.Rename(v.path()+".new", v.path())
	}
	if err == nil {
		err = syncDir(v.dir)
	}
	if err != nil {
		return errors.Join(err, fresh.file.Close(), os.Remove(v.path()+".new"))
	}
	err = v.file.Close()
	v.file, v.size, v.number = fresh.file, fresh.size, fresh.number
	return err
}

// Close closes the file and lets another process open it.
func (v *Vault) Close() error { return errors.Join(v.file.Close(), v.lock.Close()) }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
