package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
)

// Limits bound what one exporter can make us remember. Zero fields mean the
// defaults in brackets.
type Limits struct {
	Domains   int // observation domains, source IDs or engines [64]
	Templates int // templates a domain, data and options together [512]
	Fields    int // fields a template [256]
}

func (l Limits) defaults() Limits {
	if l.Domains <= 0 {
		l.Domains = 64
	}
	if l.Templates <= 0 {
		l.Templates = 512
	}
	if l.Fields <= 0 {
		l.Fields = 256
	}
	return l
}

// stale is after how many idle seconds a domain or template may make room for
// another when a limit is reached.
const stale = 3600

// Exporter is what we know of one exporter: its templates, sampling rates and
// sequence numbers. It belongs to one goroutine at a time. Make it with
// [NewExporter].
type Exporter struct {
	Stats   Stats
	limits  Limits
	domains map[domainKey]*domain
	last    *domain // of the previous datagram
	lastKey domainKey
	dirty   bool
	rev     Record // scratch: reverse half of a biflow
}

type domainKey struct {
	version uint16
	id      uint32
}

// domain is one observation domain (IPFIX), source ID (v9) or engine (v5).
type domain struct {
	templates map[uint16]*template
	last      *template
	seq       uint32 // expected next
	known     bool   // seq is
	uptime    uint32 // of the newest datagram, v9 and v5
	init      int64  // milliseconds since 1970 when sysUpTime was 0; 0: not known
	rate      uint32 // sampling of the domain, 0: not known
	samplers  [16]sampler
	used      int64 // seconds since 1970
}

// sampler is one sampler's rate, announced in an options record.
type sampler struct{ id, rate uint32 }

// NewExporter makes an exporter that knows nothing yet.
func NewExporter(l Limits) *Exporter {
	return &Exporter{limits: l.defaults(), domains: map[domainKey]*domain{}}
}

// Decode reads one datagram that arrived at now (milliseconds since 1970) and
// puts its flow records into out. After an error the records of the part before
// it are valid, as is everything learnt from it. b is not kept.
func (x *Exporter) Decode(b []byte, now int64, out *Batch) error {
	out.N = 0
	x.Stats.Datagrams++
	err := x.decode(b, now, out)
	x.Stats.Records += uint64(out.N)
	if err != nil {
		x.Stats.Malformed++
		if errors.Is(err, ErrRecords) {
			x.Stats.CutRecords++
		}
	}
	return err
}

func (x *Exporter) decode(b []byte, now int64, out *Batch) error {
	if len(b) < 16 {
		return ErrShort
	}
	switch binary.BigEndian.Uint16(b) {
	case 5:
		return x.v5(b, now, out)
	case 9:
		return x.v9(b, now, out)
	case 10:
		return x.ipfix(b, now, out)
	default:
		return ErrVersion
	}
}

// domain finds or makes a domain.
func (x *Exporter) domain(k domainKey, now int64) (*domain, error) {
	if x.last != nil && x.lastKey == k {
		x.last.used = now / 1000
		return x.last, nil
	}
	d := x.domains[k]
	if d == nil {
		if len(x.domains) >= x.limits.Domains && !x.forget(now/1000) {
			return nil, ErrDomains
		}
		d = &domain{templates: map[uint16]*template{}}
		x.domains[k] = d
	}
	d.used = now / 1000
	x.last, x.lastKey = d, k
	return d, nil
}

// forget drops the domain that has been idle longest, if it is stale.
func (x *Exporter) forget(now int64) bool {
	var key domainKey
	oldest := now - stale
	found := false
	for k, d := range x.domains {
		if d.used < oldest {
			key, oldest, found = k, d.used, true
		}
	}
	delete(x.domains, key)
	x.last = nil
	return found
}

// learn takes one template set.
func (x *Exporter) learn(d *domain, version uint16, options bool, b []byte, now int64) error {
	p := parser{version: version, options: options, limits: &x.limits}
	minimum := 4
	if options {
		minimum = 6
	}
	for len(b) >= minimum || version == 10 && len(b) >= 4 {
		if version == 10 && len(b) < minimum && binary.BigEndian.Uint16(b) == 0 {
			return nil // padding
		}
		if binary.BigEndian.Uint32(b) == 0 {
			return nil // padding
		}
		raw := d.known4(b, version, options)
		if raw > 0 { // the same as we have: the usual case, nothing to do
			d.templates[binary.BigEndian.Uint16(b)].used = now / 1000
			b = b[raw:]
			continue
		}
		t, id, used, err := p.next(b)
		if err != nil {
			x.Stats.TemplatesRefused++
			return err
		}
		b = b[used:]
		if t == nil {
			d.withdraw(id, options)
			x.dirty = true
			continue
		}
		err = d.add(t, x.limits.Templates, now/1000)
		if err != nil {
			x.Stats.TemplatesRefused++
			return err
		}
		x.Stats.Templates++
		x.dirty = true
	}
	return nil
}

// known4 reports the length of the definition at the head of b when it is the
// one in force, so that the repetition every few minutes costs a comparison.
func (d *domain) known4(b []byte, version uint16, options bool) int {
	t := d.templates[binary.BigEndian.Uint16(b)]
	if t == nil || t.version != version || t.options != options || !bytes.HasPrefix(b, t.raw) {
		return 0
	}
	return len(t.raw)
}

func (d *domain) add(t *template, limit int, now int64) error {
	t.used = now
	_, again := d.templates[t.id]
	if !again && len(d.templates) >= limit {
		var old *template
		for _, o := range d.templates {
			if o.used < now-stale && (old == nil || o.used < old.used) {
				old = o
			}
		}
		if old == nil {
			return ErrTemplates
		}
		delete(d.templates, old.id)
	}
	d.templates[t.id] = t
	d.last = nil
	return nil
}

// withdraw forgets a template, or all of a kind (RFC 7011 section 8.1: number 2
// stands for all templates, 3 for all options templates).
func (d *domain) withdraw(id uint16, options bool) {
	d.last = nil
	if id == 2 && !options || id == 3 && options {
		for k, t := range d.templates {
			if t.options == options {
				delete(d.templates, k)
			}
		}
		return
	}
	t := d.templates[id]
	if t != nil && t.options == options {
		delete(d.templates, id)
	}
}

// reset forgets everything that an exporter's restart makes void (RFC 3954
// section 9).
func (d *domain) reset() {
	clear(d.templates)
	d.last = nil
	d.known = false
	d.rate, d.init = 0, 0
	d.samplers = [16]sampler{}
}

// template finds a template for a data set.
func (d *domain) template(id uint16) *template {
	t := d.last
	if t != nil && t.id == id {
		return t
	}
	t = d.templates[id]
	if t != nil {
		d.last = t
	}
	return t
}

// sampled keeps a sampler's rate. The table is bounded: the seventeenth sampler
// takes the place of the first.
func (d *domain) sampled(id, rate uint32, has bool) {
	if !has {
		d.rate = rate
		return
	}
	for i := range d.samplers {
		if d.samplers[i].rate == 0 || d.samplers[i].id == id {
			d.samplers[i] = sampler{id, rate}
			return
		}
	}
	copy(d.samplers[:], d.samplers[1:])
	d.samplers[len(d.samplers)-1] = sampler{id, rate}
}

func (d *domain) sampler(id uint32) uint32 {
	for i := range d.samplers {
		if d.samplers[i].rate != 0 && d.samplers[i].id == id {
			return d.samplers[i].rate
		}
	}
	return d.rate
}

// far is how far a sequence number may be off before it is a restart and not a
// loss, in the unit of the sequence.
const far = 1 << 20

// sequence compares a sequence number with the expected one. It gives how much
// was lost on the way.
func (x *Exporter) sequence(d *domain, got uint32) (lost uint64) {
	if !d.known {
		d.known, d.seq = true, got
		return 0
	}
	diff := int32(got - d.seq)
	switch {
	case diff == 0:
	case diff > 0 && diff < far:
		lost = uint64(diff)
		d.seq = got
	case diff < 0 && diff > -1024:
		x.Stats.Reordered++
	default:
		x.Stats.Restarts++
		d.seq = got
	}
	return lost
}
