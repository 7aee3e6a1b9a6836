package stix

import (
	"slices"
	"strings"
)

// CUIExtension names the extension for Controlled Unclassified Information.
const CUIExtension = "extension-definition--dff17fb3-edcb-4f99-ad1b-4b751c95738a"

// CUI is a marking for Controlled Unclassified Information of the United States
// (32 CFR 2002), as carried by [CUIExtension].
type CUI struct {
	Control        string   // "CUI" or "CONTROLLED"
	Designator     string   // designator_ref: identity of the designating agency, "" if absent
	Categories     []string // specified ones first ("SP-" and their name), each kind by alphabet
	Disseminations []string // limited dissemination controls, such as NOFORN or FED ONLY
	Statements     []string // required_statements
	Supplemental   []string // supplemental_administrative, such as Draft
}

func (m *Marking) readCUI(v Value) (*CUI, error) {
	r := fields{v: v}
	c := &CUI{
		Control: strings.ToUpper(r.str("control", true)), Designator: r.str("designator_ref", false),
		Categories: upper(r.list("categories")), Disseminations: upper(r.list("disseminations")),
		Statements: r.list("required_statements"), Supplemental: r.list("supplemental_administrative"),
	}
	slices.SortFunc(c.Categories, compareCategory)
	if c.Control != "CUI" && c.Control != "CONTROLLED" {
		r.wrong("control", BadValue, "control %q is neither CUI nor CONTROLLED", clip(c.Control))
	}
	if c.Designator != "" && (CheckID(c.Designator) != nil || TypeOf(c.Designator) != "identity") {
		r.wrong("designator_ref", BadValue, "designator_ref %q does not name an identity", clip(c.Designator))
	}
	m.others(v, "CUI", "extension_type", "control", "designator_ref", "categories", "disseminations", "required_statements", "supplemental_administrative")
	return c, r.err
}

func (c *CUI) draft() *Draft {
	categories := slices.Clone(c.Categories)
	slices.SortFunc(categories, compareCategory)
	return propertyExtension().Str("control", c.Control).Str("designator_ref", c.Designator).
		List("categories", categories).List("disseminations", c.Disseminations).
		List("required_statements", c.Statements).List("supplemental_administrative", c.Supplemental)
}

// compareCategory orders as banners do: specified categories first.
func compareCategory(a, b string) int {
	x, y := strings.HasPrefix(a, "SP-"), strings.HasPrefix(b, "SP-")
	switch {
	case x == y:
		return strings.Compare(a, b)
	case x:
		return -1
	default:
		return 1
	}
}

func upper(list []string) []string {
	for i, s := range list {
		list[i] = strings.ToUpper(s)
	}
	return list
}
