// Command desk measures the indicator desk through the whole hub, as a process of
// its own over its HTTP interfaces: taking in a delivery of STIX with every check,
// a large public corpus against the public warning lists, searching, listing and
// the dashboard among millions, approving and releasing in bulk; and, inside of
// itself, reading STIX and compiling patterns. Each figure is printed beside what
// others have been measured at, or the limit that the program has set itself.
//
//	go run ./bench/desk -quick                # a minute or two
//	go run ./bench/desk                       # a million in, ten million stored
//	go run ./bench/desk -database sqlite -only import -cpuprofile cpu.out
//
// The public data (Maltrail's corpus and MISP's warning lists, as tar.xz) is looked
// for in -data; what needs it is left out, and said to be, when it is absent. It
// needs no other program for SQLite, and PostgreSQL's server for PostgreSQL.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// options are the sizes of a run.
type options struct {
	items, stored, released, lookups int
	databases, only                  string
	data, dir, profile               string
}

func main() {
	if os.Getenv(asHub) != "" {
		be(os.Getenv(asHub))
		return
	}
	var o options
	quick := flag.Bool("quick", false, "small sizes: to see that everything runs")
	flag.IntVar(&o.items, "items", 1_000_000, "indicators of the delivery")
	flag.IntVar(&o.stored, "stored", 10_000_000, "indicators to search among")
	flag.IntVar(&o.released, "released", 100_000, "indicators to approve and release")
	flag.IntVar(&o.lookups, "lookups", 2000, "requests of each kind")
	flag.StringVar(&o.databases, "database", "sqlite,postgres", "which databases, by commas")
	flag.StringVar(&o.only, "only", "", "some of parse,compile,import,search,release,corpus, by commas; empty: all")
	flag.StringVar(&o.data, "data", "../shared/data", "folder of the public data")
	flag.StringVar(&o.dir, "dir", "", "where to work; needs 3 GB for each million stored; empty: a temporary folder")
	flag.StringVar(&o.profile, "cpuprofile", "", "write the hub's processor profile during the delivery to this file")
	flag.Parse()
	if *quick {
		o.items, o.stored, o.released, o.lookups = min(o.items, 50_000), min(o.stored, 200_000), min(o.released, 5000), min(o.lookups, 300)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench/desk:", err)
		os.Exit(1)
	}
}

func (o *options) wants(part string) bool {
	return o.only == "" || slices.Contains(strings.Split(o.only, ","), part)
}

func run(ctx context.Context, o options) (err error) {
	made := o.dir == ""
	if made {
		o.dir, err = os.MkdirTemp("", "ecs-desk-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	}
	header()
	if o.wants("parse") {
		err = parsing(o.items)
	}
	if err == nil && o.wants("compile") {
		err = compiling()
	}
	if err != nil || !o.wants("import") && !o.wants("search") && !o.wants("release") && !o.wants("corpus") {
		return err
	}
	lists, err := unpack(ctx, o.data, "misp-warninglists.tar.xz", filepath.Join(o.dir, "warninglists"))
	if err != nil {
		return err
	}
	for _, database := range strings.Split(o.databases, ",") {
		err = desk(ctx, o, database, lists)
		if err != nil {
			return fmt.Errorf("%s: %w", database, err)
		}
	}
	return nil
}

// desk measures everything that a database has a part in.
func desk(ctx context.Context, o options, database, lists string) (err error) {
	dir := filepath.Join(o.dir, database)
	dsn := filepath.Join(dir, "data", "hub.db")
	if database != "sqlite" {
		var server *postgres
		server, err = startPostgres(ctx, dir)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.stop()) }()
		dsn = server.dsn("hub")
	}
	defer func() {
		if o.only == "" { // what was measured by parts may be looked at
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, "data")))
		}
	}()
	h, err := startHub(ctx, hubSetup{dir: dir, database: database, dsn: dsn, lists: lists, profile: o.profile})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.stop()) }()
	fmt.Printf("\n%s, warning lists: %s\n", database, orNone(lists))
	err = h.deliver(ctx, o)
	if err == nil && o.wants("release") {
		err = h.releaseMany(ctx, o.released)
	}
	if err == nil && o.wants("corpus") {
		err = h.corpus(ctx, o.data, dir)
	}
	if err != nil || !o.wants("search") {
		return err
	}
	err = h.stop()
	if err == nil {
		err = fill(ctx, database, dsn, o.stored)
	}
	if err == nil {
		err = h.start(ctx)
	}
	if err == nil {
		err = h.search(ctx, o, dsn)
	}
	return err
}

func orNone(s string) string {
	if s == "" {
		return "none, the public data was not found"
	}
	return filepath.Base(s)
}
