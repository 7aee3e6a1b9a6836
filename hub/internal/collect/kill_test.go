package collect

// killed is the process that TestKilled kills.
func killed() {}
