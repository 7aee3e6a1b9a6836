// Command benchserver is the mail room alone, for bench/mail: a list of made-up
// indicators, one customer that refuses what matches, and no storage. With
// -empty it is a milter that reads all and decides nothing: the room's limit.
package main

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"ecs/contract"
	"ecs/observable"
	"ecs/provider/internal/customer"
	"ecs/provider/internal/mail"
	"ecs/provider/internal/mail/milter"
	"ecs/provider/internal/mail/mime"
	"ecs/provider/internal/match"
	"ecs/provider/internal/sighting"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	empty := flag.Bool("empty", false, "decide nothing")
	n := flag.Int("indicators", 1_000_000, "indicators in force: 40 % names, 20 % URLs, 10 % addresses, 30 % digests")
	digests := flag.String("digests", "md5,sha1,sha256", "digests to compute")
	prof := flag.String("pprof", "", "address for profiles")
	flag.Parse()
	if *prof != "" {
		go func() { _ = http.ListenAndServe(*prof, nil) }()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, *addr, *empty, *n, *digests)
	if err != nil {
		fmt.Fprintln(os.Stderr, "benchserver:", err)
		os.Exit(1)
	}
}

type nowhere struct{}

func (nowhere) Record(context.Context, *sighting.Event) error { return nil }

func run(ctx context.Context, addr string, empty bool, n int, digests string) error {
	if empty {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			return err
		}
		fmt.Println("ready", ln.Addr())
		s := milter.NewServer(milter.Config{Handler: func() milter.Handler { return nothing{} }, Options: quiet})
		return s.Serve(ctx, ln)
	}
	before := memory()
	set := match.NewHolder()
	set.Set(match.Build(indicators(n)))
	fmt.Printf("indicators %d MiB\n", (memory()-before)>>20)
	book := customer.NewHolder()
	book.Set(customer.NewBook([]customer.Row{{
		Customer: customer.Customer{ID: 1, Mail: customer.Block, MailAction: customer.Reject}, Domains: []string{"customer.example"},
	}}))
	var want mime.Digests
	for i, name := range []string{"md5", "sha1", "sha256", "sha512"} {
		if strings.Contains(","+digests+",", ","+name+",") {
			want |= 1 << i
		}
	}
	f, err := mail.New(mail.Config{Listen: []string{addr}, Set: set, Book: book, Recorder: nowhere{}, Digests: want})
	if err != nil {
		return err
	}
	go func() {
		<-f.Ready()
		fmt.Println("ready", f.Addrs()[0])
	}()
	return f.Run(ctx)
}

const quiet = milter.NoUnknown | milter.NoReplyHead | milter.NoReplyConn | milter.NoReplyHelo | milter.NoReplyMail |
	milter.NoReplyRcpt | milter.NoReplyData | milter.NoReplyUnk | milter.NoReplyEOH | milter.NoReplyBody

type nothing struct{}

func (nothing) Event(context.Context, *milter.Event) milter.Reply { return milter.Continue }
func (nothing) Close()                                            {}

func memory() uint64 {
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// indicators makes the list. Names are numbered, so that bench/mail can name
// one without having the list.
func indicators(n int) []match.Item {
	until := time.Now().Add(24 * time.Hour).Unix()
	out := make([]match.Item, 0, n)
	for i := range n {
		e := &match.Entry{
			ID: contract.NewID(), Services: contract.SMTP, Category: contract.Phishing, Action: contract.Quarantine,
			Enforce: true, Display: true, Until: until,
		}
		a := observable.Atom{Kind: observable.Domain, Value: fmt.Sprintf("listed-%d.example", i)}
		switch i % 10 {
		case 4, 5:
			a = observable.Atom{Kind: observable.URL, Value: fmt.Sprintf("http://shared.example/listed/%d", i)}
		case 6:
			a = observable.Atom{Kind: observable.Mail, Value: fmt.Sprintf("listed-%d@shared.example", i)}
		case 7, 8, 9:
			a = observable.Atom{Kind: observable.SHA256, Value: hex.EncodeToString(fmt.Appendf(nil, "%032d", i))}
		}
		out = append(out, match.Item{Entry: e, Atoms: []observable.Atom{a}})
	}
	return out
}
