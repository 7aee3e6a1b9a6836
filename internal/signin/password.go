package signin

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

const (
	scheme   = "pbkdf2-sha256"
	saltSize = 16
	// letters has 32 characters; zero, one, l and o are out, which people confuse.
	letters = "abcdefghijkmnpqrstuvwxyz23456789"
	groups  = 5
	inGroup = 4
)

// newPassword makes 100 random bits that a person can read and type: five
// groups of four letters and digits.
func newPassword() string {
	var b [groups * inGroup]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand aborts the process instead
	var out strings.Builder
	for i, x := range b {
		if i > 0 && i%inGroup == 0 {
			out.WriteByte('-')
		}
		out.WriteByte(letters[x&31])
	}
	return out.String()
}

// fresh makes a password and its stored form,
// pbkdf2-sha256$ITERATIONS$SALT$KEY with salt and key in base64.
func (s *Service) fresh() (password, stored string, err error) {
	password = newPassword()
	salt := make([]byte, saltSize)
	_, _ = rand.Read(salt)
	key, err := pbkdf2.Key(sha256.New, password, salt, s.cfg.Iterations, sha256.Size)
	if err != nil {
		return "", "", fmt.Errorf("signin: password: %w", err)
	}
	e := base64.RawStdEncoding
	return password, scheme + "$" + strconv.Itoa(s.cfg.Iterations) + "$" + e.EncodeToString(salt) + "$" + e.EncodeToString(key), nil
}

var errStored = errors.New("signin: the stored password cannot be read; reset it")

// verify computes and compares in constant time.
func verify(stored, password string) (bool, error) {
	f := strings.Split(stored, "$")
	if len(f) != 4 || f[0] != scheme {
		return false, errStored
	}
	n, err := strconv.Atoi(f[1])
	if err != nil || n < 1 || n > 100_000_000 {
		return false, errStored
	}
	salt, err := base64.RawStdEncoding.DecodeString(f[2])
	if err != nil {
		return false, errStored
	}
	want, err := base64.RawStdEncoding.DecodeString(f[3])
	if err != nil {
		return false, errStored
	}
	got, err := pbkdf2.Key(sha256.New, password, salt, n, sha256.Size)
	if err != nil {
		return false, fmt.Errorf("signin: password: %w", err)
	}
	return subtle.ConstantTimeCompare(got, want) == 1, nil
}

// Check finds the account whose login and password these are. It fails with
// [ErrCredentials], [ErrLimited], [ErrBusy] or what the database says.
func (s *Service) Check(ctx context.Context, login, password string) (Account, error) {
	return s.checkFrom(ctx, login, password, "")
}

// checkFrom also counts tries by address, when there is one.
func (s *Service) checkFrom(ctx context.Context, login, password, address string) (Account, error) {
	if len(login) > 64 || len(password) > 256 {
		s.count.failed.Add(1)
		return Account{}, ErrCredentials
	}
	if (address != "" && !s.byAddress.allow(address)) || !s.byLogin.allow(login) {
		s.count.limited.Add(1)
		return Account{}, ErrLimited
	}
	a, stored, err := s.load(ctx, login)
	unknown := errors.Is(err, ErrUnknown)
	if unknown {
		stored = s.nobody // the same work for a login that does not exist
	} else if err != nil {
		return Account{}, err
	}
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		s.count.busy.Add(1)
		return Account{}, errors.Join(ErrBusy, ctx.Err())
	}
	ok, err := verify(stored, password)
	<-s.slots
	if err != nil {
		return Account{}, err
	}
	if !ok || unknown {
		s.count.failed.Add(1)
		return Account{}, ErrCredentials
	}
	s.byLogin.forget(login)
	if address != "" {
		s.byAddress.back(address)
	}
	s.count.passed.Add(1)
	return a, nil
}
