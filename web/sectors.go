package web

import "ecs/contract"

// Sectors are the sixteen sectors of Presidential Policy Directive 21, by their
// number; the first stands for all of them.
var Sectors = [...]string{
	"All sectors", "Chemical", "Commercial Facilities", "Communications", "Critical Manufacturing", "Dams",
	"Defense Industrial Base", "Emergency Services", "Energy", "Financial Services", "Food and Agriculture",
	"Government Facilities", "Healthcare and Public Health", "Information Technology",
	"Nuclear Reactors, Materials, and Waste", "Transportation Systems", "Water and Wastewater Systems",
}

func init() { funcs["sector"] = SectorName }

// SectorName gives a sector's name.
func SectorName(s contract.Sector) string {
	if int(s) < len(Sectors) {
		return Sectors[s]
	}
	return "Unknown sector"
}
