package wire

import (
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
)

// Saved templates let a collector that restarts decode at once, instead of when
// each exporter repeats its templates, half an hour later or so. The form is:
//
//	count of domains, 4 bytes
//	per domain: version 2, domain 4, start of the exporter 8, sampling 4,
//	            16 x (sampler 4, sampling 4), count of templates 4
//	per template: options 1, last use 8, length 2, the definition as it came
//
// all numbers big-endian. Whoever writes it to a file adds a checksum.

const stateDomain = 2 + 4 + 8 + 4 + 16*8 + 4

// Dirty reports whether templates changed since the last call.
func (x *Exporter) Dirty() bool {
	d := x.dirty
	x.dirty = false
	return d
}

// Save appends what [Exporter.Restore] needs to b.
func (x *Exporter) Save(b []byte) []byte {
	keys := slices.SortedFunc(maps.Keys(x.domains), func(a, b domainKey) int {
		return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(a.id, b.id))
	})
	b = binary.BigEndian.AppendUint32(b, uint32(len(keys)))
	for _, k := range keys {
		d := x.domains[k]
		b = binary.BigEndian.AppendUint16(b, k.version)
		b = binary.BigEndian.AppendUint32(b, k.id)
		b = binary.BigEndian.AppendUint64(b, uint64(d.init))
		b = binary.BigEndian.AppendUint32(b, d.rate)
		for _, s := range d.samplers {
			b = binary.BigEndian.AppendUint32(b, s.id)
			b = binary.BigEndian.AppendUint32(b, s.rate)
		}
		b = binary.BigEndian.AppendUint32(b, uint32(len(d.templates)))
		for _, id := range slices.Sorted(maps.Keys(d.templates)) {
			t := d.templates[id]
			opt := byte(0)
			if t.options {
				opt = 1
			}
			b = append(b, opt)
			b = binary.BigEndian.AppendUint64(b, uint64(t.used))
			b = binary.BigEndian.AppendUint16(b, uint16(len(t.raw)))
			b = append(b, t.raw...)
		}
	}
	return b
}

// Restore reads what Save wrote, under the same limits as templates from the
// network. Templates not used since oldest (seconds since 1970) are left out.
// After [ErrState] the exporter is as new.
func (x *Exporter) Restore(b []byte, oldest int64) error {
	err := x.restore(b, oldest)
	if err != nil {
		clear(x.domains)
		x.last = nil
	}
	return err
}

func (x *Exporter) restore(b []byte, oldest int64) error {
	if len(b) < 4 {
		return ErrState
	}
	n := int(binary.BigEndian.Uint32(b))
	b = b[4:]
	for range n {
		if len(b) < stateDomain || len(x.domains) >= x.limits.Domains {
			return ErrState
		}
		k := domainKey{binary.BigEndian.Uint16(b), binary.BigEndian.Uint32(b[2:])}
		d := &domain{templates: map[uint16]*template{}, init: int64(binary.BigEndian.Uint64(b[6:])), rate: binary.BigEndian.Uint32(b[14:])}
		for i := range d.samplers {
			d.samplers[i] = sampler{binary.BigEndian.Uint32(b[18+i*8:]), binary.BigEndian.Uint32(b[22+i*8:])}
		}
		templates := int(binary.BigEndian.Uint32(b[stateDomain-4:]))
		b = b[stateDomain:]
		for range templates {
			if len(b) < 11 {
				return ErrState
			}
			options, used, length := b[0] == 1, int64(binary.BigEndian.Uint64(b[1:])), int(binary.BigEndian.Uint16(b[9:]))
			b = b[11:]
			if length > len(b) {
				return ErrState
			}
			p := parser{version: k.version, options: options, limits: &x.limits}
			t, _, whole, err := p.next(b[:length])
			if err != nil || t == nil || whole != length {
				return ErrState
			}
			b = b[length:]
			if used < oldest {
				continue
			}
			d.used = max(d.used, used)
			err = d.add(t, x.limits.Templates, used)
			if err != nil {
				return ErrState
			}
		}
		x.domains[k] = d
	}
	if len(b) != 0 {
		return ErrState
	}
	return nil
}
