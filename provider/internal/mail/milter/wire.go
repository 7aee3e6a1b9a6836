package milter

import (
	"encoding/binary"
	"fmt"
)

// Commands, from the mail server to us.
const (
	cmdAbort    = 'A'
	cmdBody     = 'B'
	cmdConnect  = 'C'
	cmdMacro    = 'D'
	cmdBodyEnd  = 'E'
	cmdHelo     = 'H'
	cmdQuitNew  = 'K' // end of this SMTP session, another follows on the same connection
	cmdHeader   = 'L'
	cmdMail     = 'M'
	cmdEndHead  = 'N'
	cmdOptions  = 'O'
	cmdQuit     = 'Q'
	cmdRcpt     = 'R'
	cmdData     = 'T'
	cmdUnknown  = 'U'
	replyDelete = '-' // SMFIR_DELRCPT
	replyAccept = 'a'
	replyGoOn   = 'c'
	replyDrop   = 'd' // SMFIR_DISCARD
	replyAdd    = 'h' // SMFIR_ADDHEADER
	replyInsert = 'i' // SMFIR_INSHEADER
	replyChange = 'm' // SMFIR_CHGHEADER
	replyWait   = 'p' // SMFIR_PROGRESS
	replyReject = 'r'
	replyTemp   = 't'
	replyCode   = 'y'
)

// Actions is the set of changes that a filter asked for and the mail server
// permits (SMFIF_ in mfapi.h).
type Actions uint32

// The changes that this package can make.
const (
	AddHeaders      Actions = 0x01
	DeleteRecipient Actions = 0x08
	ChangeHeaders   Actions = 0x10
)

// Options is what both sides agreed to leave out of the conversation (SMFIP_ in
// mfdef.h).
type Options uint32

// The options.
const (
	NoUnknown    Options = 0x100      // do not tell of unknown commands
	NoReplyHead  Options = 0x80       // no answer to a header
	NoReplyConn  Options = 0x1000     // no answer to connect
	NoReplyHelo  Options = 0x2000     // no answer to HELO
	NoReplyMail  Options = 0x4000     // no answer to MAIL
	NoReplyRcpt  Options = 0x8000     // no answer to RCPT
	NoReplyData  Options = 0x10000    // no answer to DATA
	NoReplyUnk   Options = 0x20000    // no answer to an unknown command
	NoReplyEOH   Options = 0x40000    // no answer to the end of the headers
	NoReplyBody  Options = 0x80000    // no answer to a piece of the body
	LeadingSpace Options = 0x100000   // header values come and go with their leading space
	version2     Options = 0x7f       // all that version 2 knows
	internalBits Options = 0xf0000000 // sizes of body pieces; not asked for
)

const (
	minVersion = 2
	maxVersion = 6
	// bodyPiece is what a mail server puts in one packet (MILTER_CHUNK_SIZE).
	bodyPiece = 65535
)

// ProtocolError says what a peer sent that the protocol does not know. The
// session ends with it.
type ProtocolError struct {
	Command byte // 0 when it was not read yet
	Why     string
}

// Error implements error.
func (e *ProtocolError) Error() string {
	return fmt.Sprintf("milter: packet %q: %s", e.Command, e.Why)
}

// offer is what the option packet carries in both directions.
type offer struct {
	version uint32
	actions Actions
	options Options
}

func parseOffer(b []byte) (offer, error) {
	if len(b) < 12 {
		return offer{}, &ProtocolError{Command: cmdOptions, Why: "shorter than version, actions and options"}
	}
	o := offer{
		version: binary.BigEndian.Uint32(b),
		actions: Actions(binary.BigEndian.Uint32(b[4:])),
		options: Options(binary.BigEndian.Uint32(b[8:])),
	}
	if o.version < minVersion {
		return offer{}, &ProtocolError{Command: cmdOptions, Why: "protocol version below 2"}
	}
	return o, nil
}

// agree gives the answer to an offer: never a version, change or option that
// was not offered.
func agree(o offer, actions Actions, options Options) offer {
	out := offer{version: min(o.version, maxVersion), actions: o.actions & actions, options: o.options & options &^ internalBits}
	if out.version < 6 {
		// Versions 3 to 5 were never released; below 6 only the old bits mean anything.
		out.options &= version2 | NoReplyHead
	}
	if out.version == minVersion {
		out.options &= version2
	}
	return out
}

func (o offer) append(dst []byte) []byte {
	var b [12]byte
	binary.BigEndian.PutUint32(b[0:], o.version)
	binary.BigEndian.PutUint32(b[4:], uint32(o.actions))
	binary.BigEndian.PutUint32(b[8:], uint32(o.options))
	return appendPacket(dst, cmdOptions, b[:])
}

// appendPacket appends one packet whose payload is the concatenation of parts.
func appendPacket(dst []byte, command byte, parts ...[]byte) []byte {
	n := 1
	for _, p := range parts {
		n += len(p)
	}
	dst = binary.BigEndian.AppendUint32(dst, uint32(n))
	dst = append(dst, command)
	for _, p := range parts {
		dst = append(dst, p...)
	}
	return dst
}

// cString takes a string ended by NUL from b.
func cString(b []byte) (s, rest []byte, ok bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i], b[i+1:], true
		}
	}
	return nil, b, false
}
