package taxii

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// MediaType is that of every TAXII 2.1 request and response.
const MediaType = "application/taxii+json;version=2.1"

// stixType is the media type of STIX 2.1 objects in collections.
const stixType = "application/stix+json;version=2.1"

// Discovery is the resource at the server's root (TAXII 2.1 section 4.1.1).
type Discovery struct {
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Contact     string   `json:"contact,omitempty"`
	Default     string   `json:"default,omitempty"`
	Roots       []string `json:"api_roots,omitempty"`
}

// Root is an API root (section 4.2.1).
type Root struct {
	Title            string   `json:"title"`
	Description      string   `json:"description,omitempty"`
	Versions         []string `json:"versions"`
	MaxContentLength int64    `json:"max_content_length"`
}

// Collection is a set of objects (section 5.2.1).
type Collection struct {
	ID          string   `json:"id"` // a UUID
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Alias       string   `json:"alias,omitempty"` // may stand for ID in a URL
	CanRead     bool     `json:"can_read"`
	CanWrite    bool     `json:"can_write"`
	MediaTypes  []string `json:"media_types,omitempty"`
}

// Error is an error as it travels (section 3.6.1). The client returns it too.
type Error struct {
	Title       string            `json:"title"`
	Description string            `json:"description,omitempty"`
	ID          string            `json:"error_id,omitempty"`
	Code        string            `json:"error_code,omitempty"`
	Status      string            `json:"http_status,omitempty"` // the number as a string
	Details     map[string]string `json:"details,omitempty"`
	// RetryAfter is how long the server asks to wait, 0 if it does not say. It
	// travels as the header of the same name.
	RetryAfter time.Duration `json:"-"`
}

// Error implements error.
func (e *Error) Error() string {
	if e.Description == "" {
		return fmt.Sprintf("taxii: %s (HTTP %s)", e.Title, e.Status)
	}
	return fmt.Sprintf("taxii: %s: %s (HTTP %s)", e.Title, e.Description, e.Status)
}

// status gives the number, 500 if there is none.
func (e *Error) status() int {
	n, err := strconv.Atoi(e.Status)
	if err != nil || n < 400 || n > 599 {
		return http.StatusInternalServerError
	}
	return n
}

func problem(status int, code, description string) *Error {
	return &Error{Title: http.StatusText(status), Description: description, Code: code, Status: strconv.Itoa(status)}
}

// Status says what became of the objects of one POST (section 4.3.1).
type Status struct {
	ID        string         `json:"id"`     // a UUID, version 4
	State     string         `json:"status"` // [Complete] or [Pending]
	Received  string         `json:"request_timestamp,omitempty"`
	Total     int            `json:"total_count"`
	Success   int            `json:"success_count"`
	Successes []StatusDetail `json:"successes,omitempty"`
	Failure   int            `json:"failure_count"`
	Failures  []StatusDetail `json:"failures,omitempty"`
	Pending   int            `json:"pending_count"`
	Pendings  []StatusDetail `json:"pendings,omitempty"`
}

// The states of a [Status].
const (
	Complete = "complete"
	Pending  = "pending"
)

// StatusDetail is what became of one object (section 4.3.1).
type StatusDetail struct {
	ID      string `json:"id"`
	Version string `json:"version"`
	Message string `json:"message,omitempty"` // why it failed, and what to do
}

// manifestRecord is section 5.3.1.
type manifestRecord struct {
	ID        string `json:"id"`
	Added     string `json:"date_added"`
	Version   string `json:"version"`
	MediaType string `json:"media_type,omitempty"`
}

// envelope is what pages come in: objects, manifest and versions (sections
// 3.7, 5.3 and 5.8) differ in the list alone.
type envelope struct {
	More     bool              `json:"more,omitempty"`
	Next     string            `json:"next,omitempty"`
	Objects  []json.RawMessage `json:"objects,omitempty"`
	Versions []string          `json:"versions,omitempty"`
}

const timeForm = "2006-01-02T15:04:05.000000Z"

// formatTime writes a TAXII timestamp: six digits, always (section 3.2).
func formatTime(t time.Time) string { return t.UTC().Format(timeForm) }

// formatVersion writes the version of an object: as STIX best practice writes
// modified, with three digits, and six where three would lose something.
func formatVersion(t time.Time) string {
	if t.Nanosecond()%int(time.Millisecond) == 0 {
		return t.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return formatTime(t)
}
