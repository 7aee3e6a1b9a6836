package sqldb

// Placeholders gives how many placeholders one statement may well have when
// many rows are written or looked up by it. PostgreSQL wants few round trips and
// takes up to 65,535; SQLite has no round trips, so that a wider statement only
// costs more to be prepared.
func (db *DB) Placeholders() int {
	if db.lite {
		return 960
	}
	return 8192
}
