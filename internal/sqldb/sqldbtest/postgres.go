package sqldbtest

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
)

// server is the one PostgreSQL of this test binary. It listens on a Unix socket
// in a directory of its own, so that no port has to be free.
var server struct {
	once   sync.Once
	dir    string
	err    error
	absent string   // why there is none
	alive  *os.File // closed by the kernel when this process ends, however it ends
	made   atomic.Int64
}

// PostgreSQL gives the dsn of a new, empty database, dropped after the test.
func PostgreSQL(t testing.TB) string {
	t.Helper()
	server.once.Do(start)
	if server.absent != "" {
		if os.Getenv("CI") == "true" {
			t.Fatalf("PostgreSQL is required with CI=true: %s", server.absent)
		}
		t.Skipf("skipped: %s (apt-get install postgresql)", server.absent)
	}
	if server.err != nil {
		t.Fatalf("start PostgreSQL: %v", server.err)
	}
	name := fmt.Sprintf("test%d", server.made.Add(1))
	err := admin("create database " + name)
	if err != nil {
		t.Fatalf("create a database: %v", err)
	}
	t.Cleanup(func() {
		err := admin("drop database if exists " + name + " with (force)")
		if err != nil {
			t.Errorf("drop a database: %v", err)
		}
	})
	return dsn(name)
}

func dsn(name string) string {
	q := url.Values{"host": {server.dir}, "user": {"postgres"}}
	return "postgres:///" + name + "?" + q.Encode()
}

func admin(statement string) error {
	db, err := sql.Open("pgx", dsn("postgres"))
	if err != nil {
		return err
	}
	_, err = db.Exec(statement)
	return errors.Join(err, db.Close())
}

// binaries finds the newest version installed.
func binaries() (string, bool) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), true
	}
	path, err := exec.LookPath("initdb")
	return filepath.Dir(path), err == nil
}

func start() {
	bin, ok := binaries()
	if !ok {
		server.absent = "PostgreSQL's initdb was not found"
		return
	}
	server.err = run(bin)
}

// run makes a cluster and starts it. PostgreSQL refuses to run as root, so root
// becomes the user "postgres" that Debian's package has made.
func run(bin string) error {
	dir, err := os.MkdirTemp("/tmp", "ecs-pg-") // short: a socket's path has at most 107 bytes
	if err != nil {
		return err
	}
	server.dir = dir
	as := func(name string, arg ...string) *exec.Cmd {
		if os.Getuid() != 0 {
			return exec.Command(name, arg...)
		}
		return exec.Command("runuser", append([]string{"-u", "postgres", "--", name}, arg...)...)
	}
	if os.Getuid() == 0 {
		out, err := exec.Command("chown", "postgres", dir).CombinedOutput()
		if err != nil {
			return fmt.Errorf("chown %s: %w: %s", dir, err, out)
		}
	}
	err = guard(dir)
	if err != nil {
		return err
	}
	data := filepath.Join(dir, "data")
	init := as(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	init.Dir = dir
	out, err := init.CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w: %s", err, out)
	}
	settings := []string{
		"listen_addresses=''", "unix_socket_directories='" + dir + "'", "fsync=off", "full_page_writes=off",
		"synchronous_commit=off", "max_connections=100", "shared_buffers=32MB", "autovacuum=off",
	}
	err = os.WriteFile(filepath.Join(data, "postgresql.auto.conf"), []byte(strings.Join(settings, "\n")+"\n"), 0o644)
	if err != nil {
		return err
	}
	logFile, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return err
	}
	cmd := as(filepath.Join(bin, "postgres"), "-D", data)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = logFile, logFile
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	if err != nil {
		return errors.Join(err, logFile.Close())
	}
	_ = logFile.Close()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(25 * time.Millisecond) {
		err = admin("select 1")
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			text, _ := os.ReadFile(filepath.Join(dir, "log"))
			return fmt.Errorf("the server does not answer: %w: %s", err, text)
		}
	}
}

// guard starts a shell that waits for the end of its standard input, which
// comes when this process is gone: by return, by panic or by kill -9. Then it
// stops the server and removes the directory.
func guard(dir string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	const script = `cat >/dev/null; p=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
[ -n "$p" ] && kill -QUIT "$p" 2>/dev/null
for i in 1 2 3 4 5 6 7 8 9 10; do [ -n "$p" ] && kill -0 "$p" 2>/dev/null || break; sleep 0.2; done
rm -rf "$1"`
	cmd := exec.Command("/bin/sh", "-c", script, "sh", dir)
	cmd.Dir = "/"
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // not reached by Ctrl-C
	err = cmd.Start()
	_ = r.Close()
	if err != nil {
		return errors.Join(err, w.Close())
	}
	server.alive = w
	return nil
}
