package web

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ecs/contract"
)

// sums reads a file made by sha256sum.
func sums(t *testing.T, file string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	s := bufio.NewScanner(bytes.NewReader(b))
	for s.Scan() {
		hash, name, ok := strings.Cut(s.Text(), "  ")
		if !ok {
			t.Fatalf("%s: not a line of sha256sum: %q", file, s.Text())
		}
		out[name] = hash
	}
	return out
}

// What we took from others is unchanged, complete, and nothing else lies there.
func TestVendoredFilesAreWhatTheySay(t *testing.T) {
	for _, dir := range []string{"assets/uswds-" + uswds, "webtest/testdata/axe-core-4.14.1"} {
		want := sums(t, filepath.Join(dir, "SHA256SUMS"))
		seen := 0
		err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			rel, err := filepath.Rel(dir, name)
			if err != nil || rel == "SHA256SUMS" || rel == "SOURCE.md" {
				return err
			}
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(b)
			if want[filepath.ToSlash(rel)] != hex.EncodeToString(sum[:]) {
				t.Errorf("%s: SHA-256 is %x, SHA256SUMS says %q", name, sum, want[filepath.ToSlash(rel)])
			}
			seen++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if seen != len(want) || seen == 0 {
			t.Errorf("%s: %d files, SHA256SUMS names %d", dir, seen, len(want))
		}
		src, err := os.ReadFile(filepath.Join(dir, "SOURCE.md"))
		if err != nil || !regexp.MustCompile("SHA-256 of the package: `[0-9a-f]{64}`").Match(src) {
			t.Errorf("%s: SOURCE.md does not state the package's SHA-256 (%v)", dir, err)
		}
	}
}

// A government banner, seal or flag would make the site look like what it is not.
func TestNothingOfficialIsEmbedded(t *testing.T) {
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		base := strings.ToLower(path.Base(name))
		for _, bad := range []string{"flag", "seal", "logo", "banner"} {
			if strings.Contains(base, bad) {
				t.Errorf("%s is embedded", name)
			}
		}
		if path.Ext(name) != ".html" {
			return nil
		}
		b, err := files.ReadFile(name)
		for _, bad := range []string{"usa-banner", "usa-identifier", "<script>", "javascript:", " style="} {
			if bytes.Contains(b, []byte(bad)) {
				t.Errorf("%s has %q", name, bad)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestAssetsAreCachedByVersion(t *testing.T) {
	srv := httptest.NewServer(Assets())
	defer srv.Close()
	for _, name := range []string{"uswds/css/uswds.min.css", "uswds/img/sprite.svg", "uswds/fonts/source-sans-pro/sourcesanspro-regular-webfont.woff2", "ecs/ecs.css", "ecs/icon.svg"} {
		u, err := assetURL(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+u, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept-Encoding", "gzip")
		got, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body := io.Reader(got.Body)
		if got.Header.Get("Content-Encoding") == "gzip" {
			body, err = gzip.NewReader(got.Body)
			if err != nil {
				t.Fatal(err)
			}
		}
		b, err := io.ReadAll(body)
		_ = got.Body.Close()
		if err != nil || got.StatusCode != http.StatusOK || len(b) == 0 {
			t.Errorf("%s: status %d, %d bytes, %v", u, got.StatusCode, len(b), err)
		}
		if !strings.Contains(got.Header.Get("Cache-Control"), "immutable") || !regexp.MustCompile(`/assets/(uswds-[0-9.]+|ecs-[0-9a-f]{12})/`).MatchString(u) {
			t.Errorf("%s: cached as %q", u, got.Header.Get("Cache-Control"))
		}
		if got.Header.Get("X-Content-Type-Options") != "nosniff" || got.Header.Get("Content-Type") == "" {
			t.Errorf("%s: type %q", u, got.Header.Get("Content-Type"))
		}
		r.Header.Set("If-None-Match", got.Header.Get("ETag"))
		again, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = again.Body.Close()
		if again.StatusCode != http.StatusNotModified {
			t.Errorf("%s: asked again: status %d, want 304", u, again.StatusCode)
		}
	}
	for _, p := range []string{"/assets/", "/assets/ecs/ecs.css", "/assets/../web.go", "/assets/uswds-0.0.0/css/uswds.min.css"} {
		r := httptest.NewRecorder()
		Assets().ServeHTTP(r, httptest.NewRequest(http.MethodGet, p, nil))
		if r.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", p, r.Code)
		}
	}
}

// The style sheet names only files that are embedded, as far as our pages use the
// components that need them.
func TestStyleSheetFindsItsFonts(t *testing.T) {
	b, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	css := string(b.byPath["uswds-"+uswds+"/css/uswds.min.css"].plain)
	for name := range b.byPath {
		if strings.HasSuffix(name, ".woff2") && !strings.Contains(css, path.Base(name)) {
			t.Errorf("%s is embedded and never used", name)
		}
	}
}

func TestBothHousesHaveTheirPages(t *testing.T) {
	for house, want := range map[string]string{"hub": "story", "provider": "overview"} {
		r, err := New(house, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, n := range r.Names() {
			found = found || n == want
		}
		if !found {
			t.Errorf("%s has no page %q", house, want)
		}
	}
	_, err := New("attic", slog.New(slog.DiscardHandler))
	if err == nil {
		t.Error("a house without pages is accepted")
	}
}

func TestAFaultIsNotHalfAPage(t *testing.T) {
	r, err := New("hub", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r.Render(w, http.StatusOK, "story", &Page{Data: "not what the page needs"})
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "<html") {
		t.Errorf("status %d: %s", w.Code, w.Body)
	}
}

func TestWords(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	tests := []struct{ name, got, want string }{
		{"thousands", must(Number(1234567)), "1,234,567"},
		{"small", must(Number(12)), "12"},
		{"negative", must(Number(int64(-1234))), "−1,234"},
		{"bucket", must(Number(contract.BucketOf(130))), "100-249"},
		{"seconds ago", Ago(now, now.Add(-8*time.Second)), "8 s ago"},
		{"days ahead", Ago(now, now.Add(50*time.Hour)), "in 2 d 2 h"},
		{"whole day", Span(24 * time.Hour), "1 d"},
		{"never", Ago(now, time.Time{}), "never"},
		{"now", Ago(now, now), "just now"},
		{"code", Words("PENDING_FIRST"), "Pending first"},
		{"personal data", Words("PII-NOT-PRESENT"), "No personal data"},
		{"services", ServiceNames(contract.DNS | contract.NetFlow), "DNS, flow"},
		{"short", Short("indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"), "8e2e2d2b"},
		{"bytes", Bytes(48211), "48.2 kB"},
		{"percent", percent(1, 3), "33%"},
		{"sector", SectorName(16), "Water and Wastewater Systems"},
		{"role", Role("gfi_officer"), "Source officer"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func must(s string, err error) string {
	if err != nil {
		return err.Error()
	}
	return s
}

func TestChartsAreEscapedAndNamed(t *testing.T) {
	now := time.Now()
	svg := string(Lifelines("x", `<b>"t"</b>`, "d & e", now, now.Add(time.Hour), []Life{{Label: "<i>", Spans: []LifeSpan{{From: now.Add(-time.Hour), To: now.Add(2 * time.Hour), Kind: "force"}}}}))
	for _, bad := range []string{"<b>", "<i>", "style="} {
		if strings.Contains(svg, bad) {
			t.Errorf("the chart has %q", bad)
		}
	}
	for _, want := range []string{`role="img"`, `aria-labelledby="x-t x-d"`, "<title", "<desc", "d &amp; e"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the chart lacks %q", want)
		}
	}
	if Lifelines("x", "t", "d", now, now, nil) != "" {
		t.Error("a chart of nothing is drawn")
	}
}

func TestBackStaysOnThePage(t *testing.T) {
	tests := map[string]string{
		"/queue?step=first":     "/queue?done=ok&step=first",
		"/queue/x":              "/queue/x?done=ok",
		"https://evil.example/": "/queue?done=ok",
		"//evil.example/queue":  "/queue?done=ok",
		"/queuex":               "/queue?done=ok",
		"":                      "/queue?done=ok",
	}
	for back, want := range tests {
		r := httptest.NewRequest(http.MethodPost, "/x", strings.NewReader("back="+strings.NewReplacer("&", "%26", "?", "%3F", "=", "%3D").Replace(back)))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if got := Back(r, "/queue", "ok"); got != want {
			t.Errorf("back to %q goes to %q, want %q", back, got, want)
		}
	}
}

func TestDoneSaysOnlyOurSentences(t *testing.T) {
	ours := map[string]string{"bulk": "Done for %n indicators."}
	tests := map[string]string{"/?done=bulk&n=1200": "Done for 1,200 indicators.", "/?done=bulk&n=x": "Done for 0 indicators.", "/?done=<b>": "", "/": ""}
	for address, want := range tests {
		if got := DoneText(httptest.NewRequest(http.MethodGet, address, nil), ours); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
