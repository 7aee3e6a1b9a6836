package sqldbtest

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"ecs/internal/sqldb"
)

func TestEachGivesAFreshDatabase(t *testing.T) {
	schema := fstest.MapFS{"00001_x.sql": {Data: []byte("-- +goose Up\nCREATE TABLE x (a integer);\nINSERT INTO x VALUES (1);\n")}}
	open := func(dsn string) (*sqldb.DB, error) { return sqldb.Open(context.Background(), dsn, schema) }
	for range 2 {
		Each(t, open, func(t *testing.T, db *sqldb.DB) {
			var n int
			err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM x").Scan(&n)
			if err != nil || n != 1 {
				t.Fatalf("%d rows, %v", n, err)
			}
		})
	}
}

// A test binary that is killed leaves neither a server nor its directory.
func TestServerGoesWithItsProcess(t *testing.T) {
	const in = "ECS_TEST_PG_CHILD"
	if os.Getenv(in) != "" {
		PostgreSQL(t)
		_, _ = os.Stdout.WriteString("dir=" + server.dir + "\n")
		time.Sleep(time.Minute)
		return
	}
	_, ok := binaries()
	if !ok {
		PostgreSQL(t) // skips, or fails with CI=true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerGoesWithItsProcess$")
	cmd.Env = append(os.Environ(), in+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	err = cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := out.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	dir := strings.TrimSpace(strings.TrimPrefix(string(buf[:n]), "dir="))
	_, err = os.Stat(dir)
	if err != nil || !strings.HasPrefix(dir, "/tmp/ecs-pg-") {
		t.Fatalf("said %q: %v", buf[:n], err)
	}
	err = cmd.Process.Kill()
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for range 100 {
		_, err = os.Stat(dir)
		if os.IsNotExist(err) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s is still there", dir)
}
