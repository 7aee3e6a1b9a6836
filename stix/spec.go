package stix

import (
	"fmt"
	"strings"
)

// The properties of each type that STIX 2.1 defines, as "name:kind", with "!"
// where the property is required. Kinds: string, strings (a list of them), word
// (lower-case letters, digits, hyphens), time, int, count (not negative), port,
// number, flag, dict (an object), hashes, hex, binary (base64), phases, externals,
// any; ref and refs with the types that they may name, where the standard says;
// one with the words that it may be; int and number with bounds.
const (
	commonSpec = "spec_version!:string created!:stamp modified!:stamp created_by_ref:ref(identity) revoked:flag labels:strings confidence:int(0,100) " +
		"lang:string external_references:externals object_marking_refs:refs(marking-definition) extensions:dict"
	observableSpec = "spec_version:string object_marking_refs:refs(marking-definition) defanged:flag extensions:dict"
	metaSpec       = "spec_version!:string created!:stamp created_by_ref:ref(identity) external_references:externals object_marking_refs:refs(marking-definition) extensions:dict"
)

var specTexts = map[string]string{
	"attack-pattern":   "name!:string description:string aliases:strings kill_chain_phases:phases",
	"campaign":         "name!:string description:string aliases:strings first_seen:time last_seen:time objective:string",
	"course-of-action": "name!:string description:string",
	"grouping":         "name:string description:string context!:string object_refs!:refs",
	"identity":         "name!:string description:string roles:strings identity_class:string sectors:strings contact_information:string",
	"incident":         "name!:string description:string",
	"indicator": "name:string description:string indicator_types:strings pattern!:string pattern_type!:string pattern_version:string " +
		"valid_from!:time valid_until:time kill_chain_phases:phases",
	"infrastructure": "name!:string description:string infrastructure_types:strings aliases:strings kill_chain_phases:phases first_seen:time last_seen:time",
	"intrusion-set": "name!:string description:string aliases:strings first_seen:time last_seen:time goals:strings resource_level:string " +
		"primary_motivation:string secondary_motivations:strings",
	"location": "name:string description:string latitude:number(-90,90) longitude:number(-180,180) precision:number(0,100000000) region:string country:string " +
		"administrative_area:string city:string street_address:string postal_code:string",
	"malware": "name:string description:string malware_types:strings is_family!:flag aliases:strings kill_chain_phases:phases first_seen:time last_seen:time " +
		"operating_system_refs:refs(software) architecture_execution_envs:strings implementation_languages:strings capabilities:strings sample_refs:refs(artifact,file)",
	"malware-analysis": "product!:string version:string host_vm_ref:ref(software) operating_system_ref:ref(software) installed_software_refs:refs(software) " +
		"configuration_version:string modules:strings analysis_engine_version:string analysis_definition_version:string submitted:time analysis_started:time " +
		"analysis_ended:time result_name:string result:string analysis_sco_refs:refs sample_ref:ref(artifact,file,network-traffic)",
	"note":          "abstract:string content!:string authors:strings object_refs!:refs",
	"observed-data": "first_observed!:time last_observed!:time number_observed!:int(1,999999999) objects:dict object_refs:refs",
	"opinion":       "explanation:string authors:strings opinion!:one(strongly-disagree,disagree,neutral,agree,strongly-agree) object_refs!:refs",
	"report":        "name!:string description:string report_types:strings published!:time object_refs!:refs",
	"threat-actor": "name!:string description:string threat_actor_types:strings aliases:strings first_seen:time last_seen:time roles:strings goals:strings " +
		"sophistication:string resource_level:string primary_motivation:string secondary_motivations:strings personal_motivations:strings",
	"tool":          "name!:string description:string tool_types:strings aliases:strings kill_chain_phases:phases tool_version:string",
	"vulnerability": "name!:string description:string",
	"relationship":  "relationship_type!:word description:string source_ref!:ref target_ref!:ref start_time:time stop_time:time",
	"sighting": "description:string first_seen:time last_seen:time count:int(0,999999999) sighting_of_ref!:ref observed_data_refs:refs(observed-data) " +
		"where_sighted_refs:refs(identity,location) summary:flag",
	"language-content": "object_ref!:ref object_modified:time contents!:dict",

	"marking-definition": "name:string definition_type:string definition:dict",
	"extension-definition": "modified!:stamp revoked:flag labels:strings name!:string description:string schema!:string version!:string extension_types!:strings " +
		"extension_properties:strings",

	"artifact":          "mime_type:string payload_bin:binary url:string hashes:hashes encryption_algorithm:one(AES-256-GCM,ChaCha20-Poly1305,mime-type-indicated) decryption_key:string",
	"autonomous-system": "number!:int name:string rir:string",
	"directory":         "path!:string path_enc:string ctime:time mtime:time atime:time contains_refs:refs(file,directory)",
	"domain-name":       "value!:string resolves_to_refs:refs(ipv4-addr,ipv6-addr,domain-name)",
	"email-addr":        "value!:string display_name:string belongs_to_ref:ref(user-account)",
	"email-message": "is_multipart!:flag date:time content_type:string from_ref:ref(email-addr) sender_ref:ref(email-addr) to_refs:refs(email-addr) " +
		"cc_refs:refs(email-addr) bcc_refs:refs(email-addr) message_id:string subject:string received_lines:strings additional_header_fields:dict " +
		"body:string body_multipart:any raw_email_ref:ref(artifact)",
	"file": "hashes:hashes size:count name:string name_enc:string magic_number_hex:hex mime_type:string ctime:time mtime:time atime:time " +
		"parent_directory_ref:ref(directory) contains_refs:refs content_ref:ref(artifact)",
	"ipv4-addr": "value!:string resolves_to_refs:refs(mac-addr) belongs_to_refs:refs(autonomous-system)",
	"ipv6-addr": "value!:string resolves_to_refs:refs(mac-addr) belongs_to_refs:refs(autonomous-system)",
	"mac-addr":  "value!:string",
	"mutex":     "name!:string",
	"network-traffic": "start:time end:time is_active:flag src_ref:ref(ipv4-addr,ipv6-addr,mac-addr,domain-name) dst_ref:ref(ipv4-addr,ipv6-addr,mac-addr,domain-name) " +
		"src_port:port dst_port:port protocols!:strings src_byte_count:count dst_byte_count:count src_packets:count dst_packets:count ipfix:dict " +
		"src_payload_ref:ref(artifact) dst_payload_ref:ref(artifact) encapsulates_refs:refs(network-traffic) encapsulated_by_ref:ref(network-traffic)",
	"process": "is_hidden:flag pid:int created_time:time cwd:string command_line:string environment_variables:dict opened_connection_refs:refs(network-traffic) " +
		"creator_user_ref:ref(user-account) image_ref:ref(file) parent_ref:ref(process) child_refs:refs(process)",
	"software": "name!:string cpe:string swid:string languages:strings vendor:string version:string",
	"url":      "value!:string",
	"user-account": "user_id:string credential:string account_login:string account_type:string display_name:string is_service_account:flag is_privileged:flag " +
		"can_escalate_privs:flag is_disabled:flag account_created:time account_expires:time credential_last_changed:time account_first_login:time account_last_login:time",
	"windows-registry-key": "key:string values:any modified_time:time creator_user_ref:ref(user-account) number_of_subkeys:count",
	"x509-certificate": "is_self_signed:flag hashes:hashes version:string serial_number:string signature_algorithm:string issuer:string validity_not_before:time " +
		"validity_not_after:time subject:string subject_public_key_algorithm:string subject_public_key_modulus:string subject_public_key_exponent:int x509_v3_extensions:dict",
}

// property is one entry of the table.
type property struct {
	name     string
	required bool
	kind     string
	words    []string // of refs their types, of one its words
	low      float64
	high     float64
}

// specs are the tables by type; ownSpecs leave out what all types share, and
// otherSpec is for types that the standard does not define.
var (
	specs     = make(map[string][]property, len(specTexts))
	ownSpecs  = make(map[string][]property, len(specTexts))
	otherSpec = parseSpec(commonSpec)
)

func init() {
	for typ, text := range specTexts {
		specs[typ] = parseSpec(baseSpec(typ) + " " + text)
		ownSpecs[typ] = parseSpec(text)
	}
}

func baseSpec(typ string) string {
	switch {
	case IsObservable(typ):
		return observableSpec
	case typ == "marking-definition" || typ == "extension-definition":
		return metaSpec
	default:
		return commonSpec
	}
}

// parseSpec reads entries of the table above, which is ours: it panics on a
// mistake in it.
func parseSpec(text string) []property {
	var out []property
	for entry := range strings.FieldsSeq(text) {
		name, kind, ok := strings.Cut(entry, ":")
		if !ok {
			panic("stix: table: " + entry)
		}
		p := property{low: -(1<<53 - 1), high: 1<<53 - 1}
		p.name, p.required = strings.CutSuffix(name, "!")
		var words string
		p.kind, words, ok = strings.Cut(kind, "(")
		if ok {
			p.words = strings.Split(strings.TrimSuffix(words, ")"), ",")
		}
		switch p.kind {
		case "count":
			p.kind, p.low = "int", 0
		case "port":
			p.kind, p.low, p.high = "int", 0, 65535
		case "int", "number":
			if len(p.words) == 2 {
				_, err := fmt.Sscan(strings.Join(p.words, " "), &p.low, &p.high)
				if err != nil {
					panic("stix: table: " + entry)
				}
			}
		}
		out = append(out, p)
	}
	return out
}
