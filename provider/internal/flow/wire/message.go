package wire

import "encoding/binary"

// clock is what is needed to turn an exporter's times into milliseconds since
// 1970.
type clock struct {
	export int64  // of the datagram, by the exporter's clock
	uptime uint32 // sysUpTime at that moment; milliseconds
	init   int64  // when sysUpTime was 0, milliseconds since 1970; IPFIX only, 0: not known
	ipfix  bool   // the datagram has no uptime
}

// at turns a sysUpTime into milliseconds since 1970. The counter wraps every
// 49.7 days; the difference to the datagram's own uptime does not care.
func (c *clock) at(up uint32) int64 {
	if c.ipfix {
		if c.init == 0 {
			return c.export
		}
		return c.init + int64(up)
	}
	return c.export - int64(int32(c.uptime-up))
}

const (
	v5Header = 24
	v5Record = 48
)

// v5 reads NetFlow version 5. The format is fixed; see docs/formats/flows.md.
func (x *Exporter) v5(b []byte, now int64, out *Batch) error {
	if len(b) < v5Header {
		return ErrShort
	}
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n == 0 || v5Header+n*v5Record > len(b) || n > MaxRecords {
		return ErrCount
	}
	d, err := x.domain(domainKey{5, uint32(binary.BigEndian.Uint16(b[20:]))}, now)
	if err != nil {
		return err
	}
	c := clock{
		uptime: binary.BigEndian.Uint32(b[4:]),
		export: int64(binary.BigEndian.Uint32(b[8:]))*1000 + int64(binary.BigEndian.Uint32(b[12:]))/1e6,
	}
	before := x.Stats.Reordered
	x.Stats.LostFlows += x.sequence(d, binary.BigEndian.Uint32(b[16:]))
	if x.Stats.Reordered == before {
		d.seq += uint32(n)
	}
	sampling := uint32(binary.BigEndian.Uint16(b[22:]) & 0x3fff)
	b = b[v5Header:]
	for i := range n {
		p := (*[v5Record]byte)(b[i*v5Record:])
		r := &out.Records[i]
		put4(&r.Src, binary.BigEndian.Uint32(p[0:]))
		put4(&r.Dst, binary.BigEndian.Uint32(p[4:]))
		r.In = uint32(binary.BigEndian.Uint16(p[12:]))
		r.Out = uint32(binary.BigEndian.Uint16(p[14:]))
		r.Packets = uint64(binary.BigEndian.Uint32(p[16:]))
		r.Bytes = uint64(binary.BigEndian.Uint32(p[20:]))
		r.First = c.at(binary.BigEndian.Uint32(p[24:]))
		r.Last = max(r.First, c.at(binary.BigEndian.Uint32(p[28:])))
		r.SrcPort = binary.BigEndian.Uint16(p[32:])
		r.DstPort = binary.BigEndian.Uint16(p[34:])
		r.Flags, r.Proto, r.TOS = p[37], p[38], p[39]
		r.Sampling = sampling
		r.Reverse = false
	}
	out.N = n
	return nil
}

// v9 reads NetFlow version 9 (RFC 3954 section 5).
func (x *Exporter) v9(b []byte, now int64, out *Batch) error {
	if len(b) < 20 {
		return ErrShort
	}
	d, err := x.domain(domainKey{9, binary.BigEndian.Uint32(b[16:])}, now)
	if err != nil {
		return err
	}
	c := clock{uptime: binary.BigEndian.Uint32(b[4:]), export: int64(binary.BigEndian.Uint32(b[8:])) * 1000}
	// An uptime far below the last one, while the sequence starts again too, is
	// a restart: its templates may mean something else now. Far below without
	// it is the wrap after 49.7 days, a little below is reordering.
	seq := binary.BigEndian.Uint32(b[12:])
	if d.known && int32(c.uptime-d.uptime) < -60_000 && c.uptime < d.uptime && seq < d.seq && d.seq-seq > 64 {
		d.reset()
		x.Stats.Restarts++
	}
	before := x.Stats.Reordered
	x.Stats.LostDatagrams += x.sequence(d, seq)
	if x.Stats.Reordered == before {
		d.seq++
		d.uptime = c.uptime
	}
	_, err = x.sets(d, 9, b[20:], now, &c, out)
	return err
}

// ipfix reads an IPFIX message (RFC 7011 section 3).
func (x *Exporter) ipfix(b []byte, now int64, out *Batch) error {
	n := int(binary.BigEndian.Uint16(b[2:]))
	if n < 16 {
		return ErrLength
	}
	if n > len(b) {
		return ErrShort
	}
	b = b[:n]
	d, err := x.domain(domainKey{10, binary.BigEndian.Uint32(b[12:])}, now)
	if err != nil {
		return err
	}
	c := clock{export: int64(binary.BigEndian.Uint32(b[4:])) * 1000, init: d.init, ipfix: true}
	seq := binary.BigEndian.Uint32(b[8:])
	before := x.Stats.Reordered
	x.Stats.LostFlows += x.sequence(d, seq)
	late := x.Stats.Reordered != before
	records, err := x.sets(d, 10, b[16:], now, &c, out)
	switch {
	case late:
	case err != nil || records < 0:
		d.known = false // how many records there were cannot be known: start counting again
	default:
		d.seq += uint32(records)
	}
	return err
}

// sets walks the sets of a v9 or IPFIX message. It gives the number of data
// records, or -1 when a template was missing.
func (x *Exporter) sets(d *domain, version uint16, b []byte, now int64, c *clock, out *Batch) (int, error) {
	total, unsure := 0, false
	for len(b) >= 4 {
		id := binary.BigEndian.Uint16(b)
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 4 {
			return -1, ErrLength
		}
		if n > len(b) {
			return -1, ErrShort
		}
		set := b[4:n]
		b = b[n:]
		var err error
		switch {
		case version == 9 && id < 2:
			err = x.learn(d, 9, id == 1, set, now)
		case version == 10 && (id == 2 || id == 3):
			err = x.learn(d, 10, id == 3, set, now)
		case id >= 256:
			t := d.template(id)
			if t == nil {
				x.Stats.NoTemplate++
				unsure = true
				continue
			}
			t.used = now / 1000
			var k int
			k, err = x.data(d, t, set, c, out)
			total += k
		}
		if err != nil {
			return -1, err
		}
	}
	if unsure {
		return -1, nil
	}
	return total, nil
}

// data reads the records of one data set and gives their number.
func (x *Exporter) data(d *domain, t *template, b []byte, c *clock, out *Batch) (int, error) {
	if !t.flow && !t.variable && !t.options {
		n := len(b) / t.length
		x.Stats.OtherRecords += uint64(n)
		return n, nil
	}
	count := 0
	for len(b) >= t.length {
		if t.options {
			n, err := x.option(d, t, b, c)
			if err != nil {
				return count, err
			}
			b = b[n:]
			count++
			continue
		}
		if out.N == MaxRecords {
			return count, ErrRecords
		}
		r := &out.Records[out.N]
		*r = Record{}
		var n int
		if t.variable {
			var err error
			n, err = x.recordVariable(d, t, b, c, r)
			if err != nil {
				return count, err
			}
		} else {
			n = t.length
			x.record(d, t, b[:n], c, r)
		}
		b = b[n:]
		count++
		if !t.flow {
			x.Stats.OtherRecords++
			continue
		}
		out.N++
		if t.biflow && x.rev.Packets|x.rev.Bytes != 0 && out.N < MaxRecords {
			x.reverse(r, &out.Records[out.N])
			out.N++
		}
	}
	return count, nil
}

// reverse makes the second flow of a biflow (RFC 5103 section 4).
func (x *Exporter) reverse(f, r *Record) {
	*r = *f
	r.Src, r.Dst = f.Dst, f.Src
	r.SrcPort, r.DstPort = f.DstPort, f.SrcPort
	if f.Proto == 1 || f.Proto == 58 { // type and code are not ports: they do not swap
		r.SrcPort, r.DstPort = f.SrcPort, f.DstPort
	}
	r.In, r.Out = f.Out, f.In
	r.Bytes, r.Packets, r.Flags = x.rev.Bytes, x.rev.Packets, x.rev.Flags
	r.Reverse = true
	if x.rev.First != 0 {
		r.First = x.rev.First
	}
	if x.rev.Last != 0 {
		r.Last = max(x.rev.Last, r.First)
	}
}
