package search

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"errors"

	"ecs/contract"
	"ecs/hub/internal/access"
	"ecs/hub/internal/indicator"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// ReaderOf says what an account may see.
func ReaderOf(ctx context.Context, q sqldb.Querier, a signin.Account) (Reader, error) {
	var f indicator.Filter
	err := access.Narrow(ctx, q, a, &f)
	if err != nil {
		return Reader{Handlings: []int64{}}, err
	}
	return Reader{Handlings: f.Handlings, Limited: f.Source != "", Source: f.Source, Values: access.May(a, access.Values)}, nil
}

// cursors hides numbers: where a search stopped may be the number of an item of
// which the reader may not know.
var cursors = sealer()

func sealer() cipher.Block {
	var key [16]byte
	_, _ = rand.Read(key[:])
	b, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // 16 bytes are a key
	}
	return b
}

var letters = base32.StdEncoding.WithPadding(base32.NoPadding)

// Cursor gives the place of the next page as readers get it: the identifier of the
// last item that they have seen, or, when the search stopped elsewhere, a text that
// this process alone can read. Empty: there is no next page.
func (r *Result) Cursor() string {
	if r.Next == 0 {
		return ""
	}
	if n := len(r.Items); n > 0 && r.Items[n-1].Number == r.Next {
		return r.Items[n-1].ID.String()
	}
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:], uint64(r.Next)) //nolint:gosec // positive
	cursors.Encrypt(b[:], b[:])
	return letters.EncodeToString(b[:])
}

// ParseCursor reads what [Result.Cursor] gave, for Options.After. The error says
// [access.ErrCursor] for a place that is none.
func ParseCursor(ctx context.Context, q sqldb.Querier, a signin.Account, cursor string) (int64, error) {
	if cursor == "" {
		return 0, nil
	}
	_, err := contract.ParseID(cursor)
	if err == nil {
		return access.After(ctx, q, a, cursor)
	}
	b, err := letters.DecodeString(cursor)
	if err != nil || len(b) != aes.BlockSize {
		return 0, access.ErrCursor
	}
	cursors.Decrypt(b, b)
	n := binary.BigEndian.Uint64(b)
	if binary.BigEndian.Uint64(b[8:]) != 0 || n == 0 || n > newest {
		return 0, errors.Join(access.ErrCursor, errors.New("the hub was started anew: begin at the first page"))
	}
	return int64(n), nil //nolint:gosec // 31 bits
}
