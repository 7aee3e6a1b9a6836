package sqldb

// Placeholders gives how many placeholders one statement may well have when
// many rows are written or looked up by it. PostgreSQL wants few round trips and
// takes up to 65,535; in SQLite, which has no round trips, the cost of numbered
// placeholders grows with their square.
func (db *DB) Placeholders() int {
	if db.lite {
		return 96
	}
	return 8192
}
