package personal

import "strings"

// folders are the names below which a user has a directory of the user's name.
var folders = []string{"users", "home", "documents and settings"}

// nobody are user names that name no person.
var nobody = set(`account admin administrator all analyst anonymous anyone app apps bob build ci cuckoo debian default default-user
	defaultuser0 defaultaccount demo desktop dev docker ec2-user everyone ftp git guest home joe john-doe jenkins kali lab linuxbrew localadmin
	localservice maintenance malware me mysql name networkservice nginx nobody none null oracle owner pc pi player postgres
	postmaster public root runner sandbox sandboxuser service shared somebody someone ssm-user support sys system systemprofile
	temp test tester tmp ubuntu unknown user user1 user2 username users vagrant victim virtual vmuser wdagutilityaccount web
	windows work www www-data x xx xxx xxxx you your_username yourname yourusername`)

// personal reports a user name that may be a person's.
func personal(user string) bool {
	u := strings.ToLower(strings.Trim(user, ".,;)]"))
	return u != "" && !nobody[u] && u != "default user" && u != "all users" && !strings.ContainsAny(u, "%$<>*{}[") && !strings.HasPrefix(u, "...")
}

// paths finds directories of users: C:\Users\name, \\host\Users\name,
// /home/name, /Users/name, C:\Documents and Settings\name, with any slashes, and
// doubled ones as programs escape them. The element is the name alone.
func (f *finder) paths() {
	s := f.s
	for i := 0; i < len(s); i++ {
		if classes[s[i]]&isSlash == 0 {
			continue
		}
		first := i
		windows := s[i] == '\\'
		for i+1 < len(s) && classes[s[i+1]]&isSlash != 0 {
			i++
		}
		n := folderAt(s, i+1)
		if n == 0 || !rooted(s, first, &windows) {
			continue
		}
		start := i + 1 + n
		for start < len(s) && classes[s[start]]&isSlash != 0 {
			start++
		}
		end := userEnd(s, start, windows)
		for end > start && strings.IndexByte(".,;)]", s[end-1]) >= 0 {
			end--
		}
		if personal(s[start:end]) {
			f.add(start, end, UserPath, "a path in a user's directory")
		}
		i = max(i, end-1)
	}
}

// folderAt gives the length of a folder's name at i that a slash follows, or 0.
func folderAt(s string, i int) int {
	for _, n := range folders {
		end := i + len(n)
		if end < len(s) && classes[s[end]]&isSlash != 0 && strings.EqualFold(s[i:end], n) {
			return len(n)
		}
	}
	return 0
}

// rooted reports that the slash at i is that of a root or a drive, and not in the
// middle of a URL's or another path.
func rooted(s string, i int, windows *bool) bool {
	if i == 0 {
		return true
	}
	switch c := s[i-1]; {
	case c == ':': // a drive; after a scheme the slashes are followed by a host
		*windows = true
		return i > 1 && letter(s[i-2]) && (i == 2 || !alnum(s[i-3])) || i > 4 && strings.EqualFold(s[i-5:i-1], "file")
	case c == '%' || c == '$':
		*windows = true
		return true
	case strings.IndexByte(" \t\n\r\"'=(,;>`|[{*", c) >= 0:
		return true
	case s[i] == '\\' && (alnum(c) || c == '.' || c == '-'): // \\host\Users\name
		*windows = true
		for j := i - 1; j > 0 && i-j < 64; j-- {
			if s[j] == '\\' {
				return s[j-1] == '\\' || s[j-1] == '?' || s[j-1] == ':'
			}
			if s[j] == ' ' {
				return false
			}
		}
		return false
	default: // /export/home, /var/home, /mnt/c/Users
		for _, p := range []string{"/export", "/var", "/usr", "/data", "/nfs", "/mnt/c", "/c"} {
			at := i - len(p)
			if at >= 0 && s[at:i] == p && (at == 0 || strings.IndexByte(" \t\n\"'=(:", s[at-1]) >= 0) {
				return true
			}
		}
		return false
	}
}

// userEnd gives where the user's name that begins at i ends. On Windows it may
// have spaces, if a path goes on behind them.
func userEnd(s string, i int, windows bool) int {
	end := i
	for end < len(s) && end-i < 64 && strings.IndexByte("\\/\"'<>|:*? \t\r\n", s[end]) < 0 {
		end++
	}
	if !windows || end >= len(s) || s[end] != ' ' {
		return end
	}
	for j, spaces := end, 0; j < len(s) && j-i < 64; j++ {
		switch {
		case s[j] == ' ':
			spaces++
			if spaces > 3 {
				return end
			}
		case s[j] == '\\':
			return j
		case strings.IndexByte("/\"'<>|:*?,;\t\r\n", s[j]) >= 0:
			return end
		}
	}
	return end
}
