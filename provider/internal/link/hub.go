package link

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"ecs/contract"
)

const (
	pageLimit = 2000             // entries asked for at once
	pageBytes = 128 << 20        // of one page, unpacked
	holdFor   = 50 * time.Second // how long the hub may hold a request open
	smallBody = 1 << 20
)

// hub speaks the requests of docs/formats/door.md.
type hub struct {
	base string
	http *http.Client
}

// statusError is an answer of the hub that is not a success.
type statusError struct {
	Status  int
	Code    string `json:"code"`
	Message string `json:"message"`
	Next    string `json:"next"`
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the hub answered %d %s: %s %s", e.Status, e.Code, e.Message, e.Next)
}

// final reports whether asking again with the same content is pointless.
func final(err error) bool {
	var s *statusError
	return errors.As(err, &s) && s.Status >= 400 && s.Status < 500 &&
		s.Status != http.StatusTooManyRequests && s.Status != http.StatusRequestTimeout &&
		s.Status != http.StatusUnauthorized && s.Status != http.StatusForbidden
}

func (h *hub) do(ctx context.Context, method, path string, body []byte, limit int64, wait time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, wait+20*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, h.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := h.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("the hub's answer to %s is over %d bytes", path, limit)
	}
	if resp.StatusCode/100 != 2 {
		e := &statusError{}
		_ = json.Unmarshal(data, e) // an answer of another form still has its status
		e.Status = resp.StatusCode
		return nil, e
	}
	return data, nil
}

func (h *hub) changes(ctx context.Context, after uint64, wait time.Duration) (*contract.Page, error) {
	q := url.Values{
		"after": {strconv.FormatUint(after, 10)},
		"limit": {strconv.Itoa(pageLimit)},
		"wait":  {strconv.Itoa(int(wait / time.Second))},
	}
	data, err := h.do(ctx, http.MethodGet, "/v1/changes?"+q.Encode(), nil, pageBytes, wait)
	if err != nil {
		return nil, err
	}
	var p contract.Page
	err = json.Unmarshal(data, &p)
	if err != nil {
		return nil, refuse(contract.Unreadable, "the hub's page cannot be read: %w", err)
	}
	return &p, nil
}

func (h *hub) ack(ctx context.Context, a contract.SignedAck) error {
	body, err := json.Marshal(a)
	if err != nil {
		return err
	}
	_, err = h.do(ctx, http.MethodPost, "/v1/acks", body, smallBody, 0)
	return err
}

func (h *hub) feedback(ctx context.Context, body []byte) error {
	_, err := h.do(ctx, http.MethodPost, "/v1/feedback", body, smallBody, 0)
	return err
}

func (h *hub) enrol(ctx context.Context, path string, e contract.Enrolment) (*contract.Enrolled, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	data, err := h.do(ctx, http.MethodPost, path, body, smallBody, 0)
	if err != nil {
		return nil, err
	}
	var out contract.Enrolled
	err = json.Unmarshal(data, &out)
	if err != nil {
		return nil, fmt.Errorf("the hub's answer to the enrolment cannot be read: %w", err)
	}
	return &out, nil
}
