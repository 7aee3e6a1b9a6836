package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
)

// postgres is a PostgreSQL server of this run. It syncs as one in production does.
type postgres struct {
	dir string
	cmd *exec.Cmd
}

func startPostgres(ctx context.Context, dir string) (*postgres, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return nil, errors.New("PostgreSQL's initdb was not found: install postgresql, or choose -database sqlite")
	}
	bin := filepath.Dir(found[len(found)-1])
	at := filepath.Join(dir, "data", "postgres")
	err = os.MkdirAll(at, 0o755) //nolint:gosec // the server runs as another user
	if err != nil {
		return nil, err
	}
	sockets, err := os.MkdirTemp("/tmp", "ecs-pg-") // short: a socket's path has at most 107 bytes
	if err != nil {
		return nil, err
	}
	p := &postgres{dir: sockets}
	as := func(name string, arg ...string) *exec.Cmd {
		if os.Getuid() != 0 {
			return exec.CommandContext(ctx, name, arg...)
		}
		return exec.CommandContext(ctx, "setpriv", append([]string{"--reuid=postgres", "--regid=postgres", "--init-groups", "--", name}, arg...)...)
	}
	if os.Getuid() == 0 { // the server refuses to run as root
		for up := dir; len(up) > len(os.TempDir()); up = filepath.Dir(up) {
			err = errors.Join(err, os.Chmod(up, 0o755)) //nolint:gosec // as above
		}
		out, chown := exec.CommandContext(ctx, "chown", "postgres", at, sockets).CombinedOutput()
		err = errors.Join(err, os.Chmod(filepath.Join(dir, "data"), 0o755)) //nolint:gosec // as above
		if chown != nil {
			err = errors.Join(err, fmt.Errorf("chown: %w: %s", chown, out))
		}
		if err != nil {
			return nil, err
		}
	}
	data := filepath.Join(at, "cluster")
	init := as(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-instructions")
	init.Dir = at
	out, err := init.CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	settings := "listen_addresses=''\nunix_socket_directories='" + sockets + "'\nshared_buffers=512MB\nmax_wal_size=4GB\nmaintenance_work_mem=512MB\n"
	f, err := os.OpenFile(filepath.Join(data, "postgresql.auto.conf"), os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(settings)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "postgres.log"))
	if err != nil {
		return nil, err
	}
	p.cmd = as(filepath.Join(bin, "postgres"), "-D", data)
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = at, log, log
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGINT) }
	err = errors.Join(p.cmd.Start(), log.Close())
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		err = p.do(ctx, "CREATE DATABASE hub")
		if err == nil || time.Now().After(end) {
			return p, err
		}
	}
}

func (p *postgres) dsn(name string) string {
	return "postgres:///" + name + "?" + url.Values{"host": {p.dir}, "user": {"postgres"}}.Encode()
}

func (p *postgres) do(ctx context.Context, statements ...string) error {
	db, err := sql.Open("pgx", p.dsn("postgres"))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, strings.Join(statements, ";"))
	return errors.Join(err, db.Close())
}

// stop shuts the server down at once, as its "fast" way.
func (p *postgres) stop() error {
	err := p.cmd.Process.Signal(syscall.SIGINT)
	return errors.Join(err, p.cmd.Wait(), os.RemoveAll(p.dir))
}
