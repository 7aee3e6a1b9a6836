package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// A slow upload outlives the server's deadlines as long as it goes on.
func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		name    string
		patient bool
		want    int64
	}{{"with patience", true, 6}, {"without", false, -1}} {
		t.Run(tt.name, func(t *testing.T) {
			got := make(chan int64, 1)
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body := io.Reader(r.Body)
				if tt.patient {
					body = NewPatience(w).Reader(body)
				}
				n, err := io.Copy(io.Discard, body)
				if err != nil {
					n = -1
				}
				got <- n
			}))
			srv.Config.ReadTimeout, srv.Config.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond
			srv.Start()
			defer srv.Close()
			r, w := io.Pipe()
			go func() {
				for range 6 {
					time.Sleep(100 * time.Millisecond)
					_, _ = w.Write([]byte("x"))
				}
				_ = w.Close()
			}()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, r)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err == nil {
				_ = resp.Body.Close()
			}
			if tt.patient && (err != nil || resp.StatusCode != http.StatusOK) {
				t.Fatalf("the upload failed: %v", err)
			}
			if n := <-got; n != tt.want {
				t.Errorf("%d bytes arrived, want %d", n, tt.want)
			}
		})
	}
}
