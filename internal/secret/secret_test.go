package secret_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"ecs/internal/secret"
)

func TestKeyIsMadeOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	var wg sync.WaitGroup
	keys := make([]secret.Bytes, 8)
	for i := range keys {
		wg.Go(func() {
			k, err := secret.Key(dir, "vault.key", 32)
			if err != nil {
				t.Error(err)
			}
			keys[i] = k
		})
	}
	wg.Wait()
	for _, k := range keys {
		if len(k) != 32 || !bytes.Equal(k, keys[0]) {
			t.Fatal("two starts at once made two keys")
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	info, err := files[0].Info()
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	folder, err := os.Stat(dir)
	if err != nil || folder.Mode().Perm() != 0o700 {
		t.Fatalf("mode %v, %v", folder.Mode(), err)
	}
	_, err = secret.Key(dir, "vault.key", 16)
	if err == nil {
		t.Fatal("a key of another size was accepted")
	}
}

func TestCreateNeverOverwrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	err := secret.Create(path, []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	err = secret.Create(path, []byte("two"))
	if !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v", err)
	}
	b, err := secret.Read(path)
	if err != nil || !bytes.Equal(b, []byte("one")) {
		t.Fatalf("%q, %v", []byte(b), err)
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	large := filepath.Join(dir, "large")
	for path, content := range map[string][]byte{open: []byte("x"), large: make([]byte, secret.MaxSize+1)} {
		err := os.WriteFile(path, content, 0o600)
		if err != nil {
			t.Fatal(err)
		}
	}
	err := os.Chmod(open, 0o640)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{open, large, dir, filepath.Join(dir, "absent")} {
		_, err = secret.Read(path)
		if err == nil {
			t.Errorf("%s was read", path)
		}
	}
}

func TestCredentialGoesFirst(t *testing.T) {
	creds, dir := t.TempDir(), t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", creds)
	err := os.WriteFile(filepath.Join(creds, "vault.key"), bytes.Repeat([]byte{7}, 32), 0o400)
	if err != nil {
		t.Fatal(err)
	}
	k, err := secret.Key(dir, "vault.key", 32)
	if err != nil || k[0] != 7 || k[31] != 7 {
		t.Fatalf("%v", err)
	}
	_, err = secret.Key(dir, "other.key", 32)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"", "../x", "a/b", ".hidden"} {
		_, err = secret.Key(dir, name, 32)
		if err == nil {
			t.Errorf("name %q was accepted", name)
		}
	}
}

func TestRedaction(t *testing.T) {
	k := secret.Bytes("top-secret")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", slog.Any("key", k))
	for _, verb := range []string{"%v", "%s", "%x", "%q", "%#v", "%d"} {
		log.WriteString(fmt.Sprintf(verb, k))
	}
	for _, leak := range []string{"top-secret", fmt.Sprintf("%x", []byte(k)), "116 111"} {
		if strings.Contains(log.String(), leak) {
			t.Errorf("shown: %s", log.String())
		}
	}
}
