package wire

import "encoding/binary"

// number reads an unsigned number of one to eight bytes, as sent.
func number(p []byte) uint64 {
	switch len(p) {
	case 4:
		return uint64(binary.BigEndian.Uint32(p))
	case 2:
		return uint64(binary.BigEndian.Uint16(p))
	case 1:
		return uint64(p[0])
	case 8:
		return binary.BigEndian.Uint64(p)
	}
	var v uint64
	for _, c := range p {
		v = v<<8 | uint64(c)
	}
	return v
}

// ntp turns a 64-bit NTP time (RFC 7011 section 6.1.9) into milliseconds since
// 1970.
func ntp(v uint64) int64 {
	const epoch = 2_208_988_800 // from 1900 to 1970, seconds
	return (int64(v>>32)-epoch)*1000 + int64((v&0xffff_ffff)*1000>>32)
}

// extra collects what concerns a whole record and not one of its columns.
type extra struct {
	duration int64
	init     int64
	icmp     uint16
	sampler  uint32
	sampled  bool // a sampler was named
	space    uint32
	timed    bool // ends by duration
}

// record reads a record of fixed length. len(b) is t.length.
func (x *Exporter) record(d *domain, t *template, b []byte, c *clock, r *Record) {
	var e extra
	if t.biflow {
		x.rev = Record{}
	}
	for i := range t.fields {
		f := &t.fields[i]
		p := b[f.off : int(f.off)+int(f.n)]
		if f.rev {
			apply(f.op, p, c, &x.rev, &e)
			continue
		}
		apply(f.op, p, c, r, &e)
	}
	finish(d, c, r, &e)
}

// recordVariable reads a record with fields of variable length (RFC 7011 section
// 7) and gives its length.
func (x *Exporter) recordVariable(d *domain, t *template, b []byte, c *clock, r *Record) (int, error) {
	var e extra
	if t.biflow {
		x.rev = Record{}
	}
	at := 0
	for i := range t.fields {
		f := &t.fields[i]
		n := int(f.n)
		if n == variableLength {
			if at >= len(b) {
				return 0, ErrShort
			}
			n = int(b[at])
			at++
			if n == 255 {
				if len(b)-at < 2 {
					return 0, ErrShort
				}
				n = int(binary.BigEndian.Uint16(b[at:]))
				at += 2
			}
		}
		if n > len(b)-at {
			return 0, ErrShort
		}
		p := b[at : at+n]
		at += n
		if f.op == opSkip || len(p) == 0 || len(p) > 16 || f.n == variableLength && len(p) > 8 {
			continue
		}
		if f.rev {
			apply(f.op, p, c, &x.rev, &e)
			continue
		}
		apply(f.op, p, c, r, &e)
	}
	finish(d, c, r, &e)
	return at, nil
}

// apply puts one field where it belongs. p has a length that op can have.
func apply(o op, p []byte, c *clock, r *Record, e *extra) {
	switch o {
	case opSrc4:
		put4(&r.Src, binary.BigEndian.Uint32(p))
	case opDst4:
		put4(&r.Dst, binary.BigEndian.Uint32(p))
	case opSrcPort:
		r.SrcPort = uint16(number(p))
	case opDstPort:
		r.DstPort = uint16(number(p))
	case opOctets:
		r.Bytes = number(p)
	case opPackets:
		r.Packets = number(p)
	case opProtocol:
		r.Proto = uint8(number(p))
	case opFlags:
		r.Flags = uint8(number(p))
	case opTOS:
		r.TOS = uint8(number(p))
	case opFirstUptime:
		r.First = c.at(uint32(number(p)))
	case opLastUptime:
		r.Last = c.at(uint32(number(p)))
	case opIn:
		r.In = uint32(number(p))
	case opOut:
		r.Out = uint32(number(p))
	case opSrc6:
		copy(r.Src[:], p)
	case opDst6:
		copy(r.Dst[:], p)
	case opFirstMilli:
		r.First = int64(number(p))
	case opLastMilli:
		r.Last = int64(number(p))
	case opSrc4Set:
		if binary.BigEndian.Uint32(p) != 0 {
			put4(&r.Src, binary.BigEndian.Uint32(p))
		}
	case opDst4Set:
		if binary.BigEndian.Uint32(p) != 0 {
			put4(&r.Dst, binary.BigEndian.Uint32(p))
		}
	case opSrc6Set:
		if binary.BigEndian.Uint64(p)|binary.BigEndian.Uint64(p[8:]) != 0 {
			copy(r.Src[:], p)
		}
	case opDst6Set:
		if binary.BigEndian.Uint64(p)|binary.BigEndian.Uint64(p[8:]) != 0 {
			copy(r.Dst[:], p)
		}
	default:
		applyRare(o, p, c, r, e)
	}
}

func applyRare(o op, p []byte, c *clock, r *Record, e *extra) {
	switch o {
	case opFirstSeconds:
		r.First = seconds(p)
	case opLastSeconds:
		r.Last = seconds(p)
	case opFirstNTP:
		r.First = ntp(number(p))
	case opLastNTP:
		r.Last = ntp(number(p))
	case opFirstDelta: // microseconds before the export time
		r.First = c.export - int64(number(p)/1000&0xffff_ffff)
	case opLastDelta:
		r.Last = c.export - int64(number(p)/1000&0xffff_ffff)
	case opDuration:
		e.duration, e.timed = int64(number(p)&0xffff_ffff), true
	case opSystemInit:
		e.init = int64(number(p) & 0xffff_ffff_ffff)
		c.init = e.init
	case opICMP:
		e.icmp = uint16(number(p))
	case opSampler:
		e.sampler, e.sampled = uint32(number(p)), true
	case opSampling:
		r.Sampling = uint32(number(p))
	case opSpace:
		e.space = uint32(number(p))
	}
}

func seconds(p []byte) int64 { return int64(number(p)&0xffff_ffff) * 1000 }

// finish settles what depends on several fields.
func finish(d *domain, c *clock, r *Record, e *extra) {
	if e.init != 0 {
		d.init = e.init
	}
	if e.icmp != 0 && (r.Proto == 1 || r.Proto == 58) {
		r.DstPort = e.icmp
	}
	if r.First <= 0 {
		r.First = c.export
	}
	if e.timed {
		r.Last = r.First + e.duration
	}
	if r.Last < r.First {
		r.Last = r.First
	}
	if r.Sampling != 0 {
		return
	}
	r.Sampling = d.rate
	if e.sampled {
		r.Sampling = d.sampler(e.sampler)
	}
}

// option reads one options data record and gives its length: we keep sampling
// rates and the moment of the exporter's start.
func (x *Exporter) option(d *domain, t *template, b []byte, c *clock) (int, error) {
	var r Record
	var e extra
	at := 0
	for i := range t.fields {
		f := &t.fields[i]
		if !t.variable {
			apply2(f.op, b[f.off:int(f.off)+int(f.n)], c, &r, &e)
			continue
		}
		n := int(f.n)
		if n == variableLength {
			if at >= len(b) {
				return 0, ErrShort
			}
			n = int(b[at])
			at++
			if n == 255 {
				if len(b)-at < 2 {
					return 0, ErrShort
				}
				n = int(binary.BigEndian.Uint16(b[at:]))
				at += 2
			}
		}
		if n > len(b)-at {
			return 0, ErrShort
		}
		apply2(f.op, b[at:at+n], c, &r, &e)
		at += n
	}
	if !t.variable {
		at = t.length
	}
	x.Stats.OptionRecords++
	if r.Sampling != 0 {
		rate := r.Sampling
		if e.space != 0 { // RFC 5477 section 8.2: interval packets, then space packets skipped
			rate = (r.Sampling + e.space) / r.Sampling
		}
		d.sampled(e.sampler, rate, e.sampled)
	}
	if e.init != 0 {
		d.init = e.init
	}
	return at, nil
}

// apply2 applies the few fields that matter in options records.
func apply2(o op, p []byte, c *clock, r *Record, e *extra) {
	switch o {
	case opSampler, opSampling, opSpace, opSystemInit:
		if len(p) >= 1 && len(p) <= 8 {
			applyRare(o, p, c, r, e)
		}
	}
}
