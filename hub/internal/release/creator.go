package release

// Creator gives the STIX identity (identity--UUID) of the program, for what it signs
// as author beside releases.
func (d *Desk) Creator() string { return d.cfg.Creator }
