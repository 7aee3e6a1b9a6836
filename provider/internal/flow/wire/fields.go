package wire

// Information elements that we keep, by their IANA number; NetFlow v9 (RFC 3954
// section 8) uses the same numbers up to 127.
const (
	ieOctetDelta       = 1
	iePacketDelta      = 2
	ieProtocol         = 4
	ieTOS              = 5
	ieTCPFlags         = 6
	ieSrcPort          = 7
	ieSrc4             = 8
	ieIngress          = 10
	ieDstPort          = 11
	ieDst4             = 12
	ieEgress           = 14
	ieLastUptime       = 21
	ieFirstUptime      = 22
	iePostOctetDelta   = 23
	iePostPacketDelta  = 24
	ieSrc6             = 27
	ieDst6             = 28
	ieICMP4            = 32
	ieSamplingInterval = 34
	ieSamplerID        = 48
	ieSamplerInterval  = 50
	ieOctetTotal       = 85
	iePacketTotal      = 86
	ieICMP6            = 139
	ieFirstSeconds     = 150
	ieLastSeconds      = 151
	ieFirstMilli       = 152
	ieLastMilli        = 153
	ieFirstMicro       = 154
	ieLastMicro        = 155
	ieFirstNano        = 156
	ieLastNano         = 157
	ieFirstDelta       = 158
	ieLastDelta        = 159
	ieSystemInit       = 160
	ieDurationMilli    = 161
	ieInitiatorOctets  = 231
	ieResponderOctets  = 232
	ieInitiatorPackets = 298
	ieResponderPackets = 299
	ieSelectorID       = 302
	iePacketInterval   = 305
	iePacketSpace      = 306

	penReverse = 29305 // RFC 5103 section 6.1
)

// op is what to do with one field of a record.
type op uint8

const (
	opSkip op = iota
	opOctets
	opPackets
	opProtocol
	opTOS
	opFlags
	opSrcPort
	opDstPort
	opSrc4
	opDst4
	opSrc6
	opDst6
	opSrc4Set // the same four, kept only when not zero: templates with both families
	opDst4Set
	opSrc6Set
	opDst6Set
	opIn
	opOut
	opICMP
	opFirstUptime
	opLastUptime
	opFirstSeconds
	opLastSeconds
	opFirstMilli
	opLastMilli
	opFirstNTP // micro and nanoseconds: 64-bit NTP time (RFC 7011 section 6.1.9)
	opLastNTP
	opFirstDelta
	opLastDelta
	opSystemInit
	opDuration
	opSampler
	opSampling
	opSpace
	opRevOctets // responder's half in the initiator's record
	opRevPackets
)

// opOf finds the operation for a field, or opSkip where we do not keep it or
// its length is not one it can have. Unsigned numbers may come in fewer bytes
// than their type has (RFC 7011 section 6.2); variable-length ones are checked
// when they are read.
func opOf(id uint16, n int, variable bool) op {
	number := variable || n >= 1 && n <= 8
	switch id {
	case ieSrc4, ieDst4:
		if n != 4 {
			return opSkip
		}
		if id == ieSrc4 {
			return opSrc4
		}
		return opDst4
	case ieSrc6, ieDst6:
		if n != 16 {
			return opSkip
		}
		if id == ieSrc6 {
			return opSrc6
		}
		return opDst6
	}
	if !number {
		return opSkip
	}
	o, ok := numberOps[id]
	if !ok || (o == opFirstNTP || o == opLastNTP) && n != 8 {
		return opSkip
	}
	return o
}

var numberOps = map[uint16]op{
	ieOctetDelta: opOctets, iePostOctetDelta: opOctets, ieOctetTotal: opOctets, ieInitiatorOctets: opOctets,
	iePacketDelta: opPackets, iePostPacketDelta: opPackets, iePacketTotal: opPackets, ieInitiatorPackets: opPackets,
	ieResponderOctets: opRevOctets, ieResponderPackets: opRevPackets,
	ieProtocol: opProtocol, ieTOS: opTOS, ieTCPFlags: opFlags,
	ieSrcPort: opSrcPort, ieDstPort: opDstPort, ieIngress: opIn, ieEgress: opOut,
	ieICMP4: opICMP, ieICMP6: opICMP,
	ieFirstUptime: opFirstUptime, ieLastUptime: opLastUptime,
	ieFirstSeconds: opFirstSeconds, ieLastSeconds: opLastSeconds,
	ieFirstMilli: opFirstMilli, ieLastMilli: opLastMilli,
	ieFirstMicro: opFirstNTP, ieLastMicro: opLastNTP, ieFirstNano: opFirstNTP, ieLastNano: opLastNTP,
	ieFirstDelta: opFirstDelta, ieLastDelta: opLastDelta,
	ieSystemInit: opSystemInit, ieDurationMilli: opDuration,
	ieSamplerID: opSampler, ieSelectorID: opSampler,
	ieSamplingInterval: opSampling, ieSamplerInterval: opSampling, iePacketInterval: opSampling,
	iePacketSpace: opSpace,
}

// rank orders fields that say the same: the lowest one present is used.
func rank(id uint16) int {
	switch id {
	case iePostOctetDelta, iePostPacketDelta:
		return 3
	case ieOctetTotal, iePacketTotal:
		return 2
	case ieInitiatorOctets, ieInitiatorPackets:
		return 1
	default:
		return 0
	}
}
