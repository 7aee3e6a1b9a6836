package httpd_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"ecs/internal/certs"
	"ecs/internal/httpd"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func serve(t *testing.T, cfg httpd.Config) (s *httpd.Server, stop func() error) {
	t.Helper()
	if cfg.Address == "" {
		cfg.Address = "127.0.0.1:0"
	}
	s = httpd.New(cfg)
	err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = func() error {
		cancel()
		return <-done
	}
	return s, stop
}

func get(t *testing.T, addr, request string) string {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = io.WriteString(c, request)
	if err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line)
}

func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	_, _ = w.Write(b)
}

func TestPlainHTTPIsForLoopback(t *testing.T) {
	for address, ok := range map[string]bool{
		"127.0.0.1:0": true, "[::1]:0": true, "localhost:0": true, "0.0.0.0:0": false, ":0": false, "192.0.2.1:0": false, "x": false,
	} {
		s := httpd.New(httpd.Config{Name: "console", Address: address})
		err := s.Listen()
		_ = s.Close()
		if (err == nil) != ok && !strings.Contains(address, "::1") {
			t.Errorf("%s: %v", address, err)
		}
	}
	s, stop := serve(t, httpd.Config{Handler: http.HandlerFunc(echo)})
	for host, want := range map[string]string{
		"localhost": "200", "127.0.0.1:8080": "200", "[::1]:1": "200", "LOCALHOST:9": "200",
		"evil.example": "421", "127.0.0.1.evil.example": "421", "192.0.2.1": "421",
	} {
		line := get(t, s.Addr(), "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(line, "HTTP/1.1 "+want) {
			t.Errorf("Host %s: %s", host, line)
		}
	}
	err := stop()
	if err != nil {
		t.Fatal(err)
	}
}

func TestPortInUseSaysSo(t *testing.T) {
	s, stop := serve(t, httpd.Config{Handler: http.HandlerFunc(echo)})
	second := httpd.New(httpd.Config{Name: "console", Address: s.Addr()})
	err := second.Listen()
	if err == nil || !strings.Contains(err.Error(), s.Addr()+" is in use by another program") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("got %v", err)
	}
	_ = stop()
}

func TestBodyLimits(t *testing.T) {
	s, stop := serve(t, httpd.Config{
		Handler: http.HandlerFunc(echo), MaxBody: 10,
		Limit: func(r *http.Request) int64 {
			if r.URL.Path == "/big" {
				return 20
			}
			return 0
		},
	})
	for _, c := range []struct {
		path string
		size int
		want string
	}{{"/", 10, "200"}, {"/", 11, "413"}, {"/big", 20, "200"}, {"/big", 21, "413"}} {
		line := get(t, s.Addr(), fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", c.path, c.size, strings.Repeat("x", c.size)))
		if !strings.HasPrefix(line, "HTTP/1.1 "+c.want) {
			t.Errorf("%d bytes to %s: %s", c.size, c.path, line)
		}
	}
	_ = stop()
}

// A client that sends a byte now and then does not hold its connection.
func TestSlowClientIsCut(t *testing.T) {
	s, stop := serve(t, httpd.Config{Handler: http.HandlerFunc(echo), ReadTimeout: 300 * time.Millisecond})
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	begun := time.Now()
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for time.Since(begun) < 20*time.Second {
			_, err := io.WriteString(c, "x")
			if err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	_ = c.SetReadDeadline(begun.Add(20 * time.Second))
	_, _ = io.Copy(io.Discard, c)
	if took := time.Since(begun); took > 10*time.Second {
		t.Fatalf("cut after %v", took)
	}
	_ = c.Close()
	_ = stop()
	<-done
}

func TestConnectionsAreBounded(t *testing.T) {
	s, stop := serve(t, httpd.Config{Handler: http.HandlerFunc(echo), Connections: 2})
	var held []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	for s.Refused.Load() == 0 {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = c.Read(make([]byte, 1))
		_ = c.Close()
	}
	for _, c := range held {
		_ = c.Close()
	}
	for range 100 {
		line := get(t, s.Addr(), "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if strings.HasPrefix(line, "HTTP/1.1 200") {
			_ = stop()
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the places are not given back")
}

// Stopping lets a short request finish and ends one that waits.
func TestGracefulStop(t *testing.T) {
	entered := make(chan struct{}, 2)
	s, stop := serve(t, httpd.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		if r.URL.Path == "/short" {
			time.Sleep(100 * time.Millisecond)
			if r.Context().Err() != nil {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return
		}
		<-r.Context().Done()
		w.WriteHeader(http.StatusServiceUnavailable)
	})})
	got := make(chan string, 2)
	for _, path := range []string{"/short", "/long"} {
		go func() {
			got <- path + get(t, s.Addr(), "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		}()
	}
	<-entered
	<-entered
	begun := time.Now()
	err := stop()
	if err != nil || time.Since(begun) > 9*time.Second {
		t.Fatalf("%v after %v", err, time.Since(begun))
	}
	lines := (<-got) + (<-got)
	if !strings.Contains(lines, "/shortHTTP/1.1 200") || !strings.Contains(lines, "/longHTTP/1.1 503") {
		t.Fatal(lines)
	}
}

func TestTLS(t *testing.T) {
	ca, err := certs.OpenAuthority(t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	server, err := certs.NewServer(ca, []string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	s, stop := serve(t, httpd.Config{Handler: http.HandlerFunc(echo), TLS: server.Config()})
	c := certs.EnrolConfig("localhost", ca.Pin())
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	resp, err := (&http.Client{Transport: tr}).Get(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s %d", resp.Proto, resp.StatusCode)
	}
	tr.CloseIdleConnections()
	_ = stop()
}
