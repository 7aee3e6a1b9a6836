package mail

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"ecs/provider/internal/customer"
	"ecs/provider/internal/mail/mime"
	"ecs/provider/internal/mail/quarantine"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"
)

// Recorder stores a sighting. It returns when the sighting is on disk.
type Recorder interface {
	Record(ctx context.Context, e *sighting.Event) error
}

// Config of the mail room.
type Config struct {
	// Listen names the sockets for mail servers: "inet:host:port" or
	// "unix:/path", or only host:port. At least one.
	Listen     []string
	SocketMode fs.FileMode // of Unix sockets; 0660

	Set        *match.Holder     // indicators in force; required
	Book       *customer.Holder  // customers; required
	Recorder   Recorder          // required
	Quarantine *quarantine.Store // nil: what would be held is refused

	Budget   mime.Budget  // of one message
	Archives int64        // bytes of memory for the archives of all messages under way; 256 MiB
	Digests  mime.Digests // of attachments; 0: all four

	// FailClosed says what happens to a message that could not be judged because of
	// an error of ours: true: the sender is told to try again (451), false: it
	// passes. Either way it is counted. A message that matched and cannot be held
	// or recorded is always answered with 451.
	FailClosed bool
	// RefuseOver refuses (554) a message that is over budget and in whose looked-at
	// part nothing was found; otherwise it passes. Either way it is counted.
	RefuseOver bool

	MaxSessions  int           // connections of mail servers at once; 2,000
	ReadTimeout  time.Duration // longest silence of a mail server; 10 min
	WriteTimeout time.Duration // 30 s
	StoreTimeout time.Duration // for holding and recording one message; 60 s
	Log          *slog.Logger  // may be nil
}

func (c Config) filled() (Config, error) {
	if c.Set == nil || c.Book == nil || c.Recorder == nil {
		return c, errors.New("mail: indicators, customers and a recorder are needed")
	}
	if len(c.Listen) == 0 {
		return c, errors.New("mail: no socket to listen on; name one in listen")
	}
	if c.SocketMode == 0 {
		c.SocketMode = 0o660
	}
	if c.Archives <= 0 {
		c.Archives = 256 << 20
	}
	if c.Digests == 0 {
		c.Digests = mime.AllDigests
	}
	if c.StoreTimeout <= 0 {
		c.StoreTimeout = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Budget.Shared == nil {
		c.Budget.Shared = mime.NewPool(c.Archives)
	}
	return c, nil
}
