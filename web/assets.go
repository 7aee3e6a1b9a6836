package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
)

//go:embed assets templates
var files embed.FS

// uswds is the version of the U.S. Web Design System that is embedded.
const uswds = "3.14.0"

// AssetPrefix is where [Assets] expects to be mounted. It needs no sign-in.
const AssetPrefix = "/assets/"

// asset is one embedded file, ready to be sent.
type asset struct {
	kind  string // Content-Type
	plain []byte
	small []byte // gzip, nil where it saves nothing
	tag   string
}

type bundle struct {
	version string           // of our own files: they change with the program
	byPath  map[string]asset // below AssetPrefix
}

// loadAssets reads the embedded files once: hashing and compressing them takes
// some tens of milliseconds, which a process that shows no page need not spend.
var loadAssets = sync.OnceValues(func() (*bundle, error) {
	own := sha256.New()
	b := &bundle{byPath: map[string]asset{}}
	err := fs.WalkDir(files, "assets/ecs", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		own.Write(body)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("web: assets: %w", err)
	}
	b.version = hex.EncodeToString(own.Sum(nil))[:12]
	err = fs.WalkDir(files, "assets", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		rest := strings.TrimPrefix(name, "assets/")
		mine, ok := strings.CutPrefix(rest, "ecs/")
		if ok {
			rest = "ecs-" + b.version + "/" + mine
		}
		b.byPath[rest] = newAsset(name, body)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("web: assets: %w", err)
	}
	return b, nil
})

func newAsset(name string, body []byte) asset {
	sum := sha256.Sum256(body)
	a := asset{plain: body, kind: kindOf(name), tag: `"` + hex.EncodeToString(sum[:8]) + `"`}
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	_, _ = z.Write(body) // a bytes.Buffer takes everything
	_ = z.Close()
	if small.Len() < len(body)*9/10 {
		a.small = small.Bytes()
	}
	return a
}

func kindOf(name string) string {
	switch path.Ext(name) {
	case ".woff2":
		return "font/woff2"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".md", "":
		return "text/plain; charset=utf-8"
	}
	return mime.TypeByExtension(path.Ext(name))
}

// Assets serves the embedded files below [AssetPrefix]. Every address contains a
// version, so a browser may keep what it got for a year and never ask again.
func Assets() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := loadAssets()
		if err != nil {
			http.Error(w, "the program's own files cannot be read", http.StatusInternalServerError)
			return
		}
		a, ok := b.byPath[strings.TrimPrefix(r.URL.Path, AssetPrefix)]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "use GET", http.StatusMethodNotAllowed)
			return
		}
		h := w.Header()
		setCommon(h)
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("ETag", a.tag)
		h.Set("Vary", "Accept-Encoding")
		if r.Header.Get("If-None-Match") == a.tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		body := a.plain
		if a.small != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			body = a.small
			h.Set("Content-Encoding", "gzip")
		}
		h.Set("Content-Length", strconv.Itoa(len(body)))
		if r.Method == http.MethodHead {
			return
		}
		_, _ = w.Write(body) // the browser went away: nothing to be done
	})
}

// assetURL gives the address of a file of the design system ("uswds/...") or of
// our own ("ecs/...").
func assetURL(name string) (string, error) {
	b, err := loadAssets()
	if err != nil {
		return "", err
	}
	switch {
	case strings.HasPrefix(name, "uswds/"):
		name = "uswds-" + uswds + name[len("uswds"):]
	case strings.HasPrefix(name, "ecs/"):
		name = "ecs-" + b.version + name[len("ecs"):]
	}
	_, ok := b.byPath[name]
	if !ok {
		return "", fmt.Errorf("web: no asset %q is embedded", name)
	}
	return AssetPrefix + name, nil
}
