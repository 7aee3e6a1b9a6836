package console

import (
	"net/http"
	"time"

	"ecs/contract"
	"ecs/web"
)

type overviewData struct {
	Status
	Tone, State string // of the list
}

func (c *console) overview(w http.ResponseWriter, r *http.Request) {
	s, err := c.Overview.Status(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	p := c.page(r, "/")
	p.Title, p.Lead = "Overview", "The three services, and the list of indicators that they use."
	d := overviewData{Status: s}
	d.Tone, d.State = listState(&s.List, p.Now)
	p.Notes = notes(&s, p.Now)
	p.Data = d
	c.pages.Render(w, http.StatusOK, "overview", p)
}

// listState says in two words how the list stands.
func listState(l *List, now time.Time) (tone, text string) {
	switch {
	case l.Loaded.IsZero():
		return "wait", "No list yet"
	case l.Problem != contract.None:
		return "bad", "Newest list refused"
	case !l.Expires.IsZero() && now.After(l.Expires):
		return "bad", "Checkpoint expired"
	case l.HubError != "":
		return "wait", "Hub unreachable"
	default:
		return "good", "In force"
	}
}

// certificateLate is how short before its end a certificate should have been
// renewed: certificates live a day and are renewed hours before they end.
const certificateLate = 4 * time.Hour

// notes are the things that an operator must not overlook, in plain words.
func notes(s *Status, now time.Time) []web.Note {
	var out []web.Note
	l := &s.List
	if l.Problem != contract.None {
		out = append(out, web.Note{Kind: "error", Title: "The newest list was refused; the list before it stays in force", Text: ProblemText(l.Problem)})
	}
	if l.HubError != "" {
		out = append(out, web.Note{
			Kind: "warning", Title: "The hub cannot be reached",
			Text: l.HubError + " Traffic is protected by the last good list; each indicator ends by itself when it is no longer valid. This node keeps trying.",
		})
	}
	if l.Problem == contract.None && !l.Loaded.IsZero() && !l.Expires.IsZero() && now.After(l.Expires) {
		out = append(out, web.Note{
			Kind: "warning", Title: "The checkpoint of the list in force has expired",
			Text: "The hub has not confirmed the list since. It stays in force; each indicator ends by itself when it is no longer valid.",
		})
	}
	for _, room := range s.Rooms {
		if room.Fault != "" {
			out = append(out, web.Note{Kind: "error", Title: web.ServiceName(room.Service) + " does not run", Text: room.Fault})
		}
	}
	if !l.CertificateEnds.IsZero() && l.CertificateEnds.Sub(now) < certificateLate {
		out = append(out, web.Note{
			Kind: "warning", Title: "This node's certificate ends " + web.Ago(now, l.CertificateEnds),
			Text: "It is normally renewed by itself long before. If the hub is reachable, look into the log for the reason; after the end the node has to be enrolled again with a new token.",
		})
	}
	if s.Lost > 0 {
		n, _ := web.Number(s.Lost) // a uint64 always has a text
		out = append(out, web.Note{
			Kind: "warning", Title: n + " events were not recorded since the start",
			Text: "Traffic was blocked or passed as it should, but the queue for records was full. The machine is too slow for its traffic, or its disk is.",
		})
	}
	return out
}

// ProblemText says in plain words why a list was refused, and what follows.
func ProblemText(p contract.Problem) string {
	switch p {
	case contract.None:
		return "The list was loaded."
	case contract.BadNote:
		return "Its checkpoint does not bear the program's signature. Somebody between the hub and this node may have altered it, or the hub's key has changed. Ask the program office before you do anything."
	case contract.WrongList:
		return "The entries that came do not add up to the list that the checkpoint states. Part of the list was left out, added or altered on its way. This node asks for the whole list again by itself."
	case contract.Older:
		return "It is older than the list that this node has already loaded. Somebody may be replaying an old list, or the hub was restored from an old backup. Ask the program office."
	case contract.Expired:
		return "Its checkpoint was already past its end when it came. The hub's clock or this node's clock is wrong, or somebody holds back newer lists."
	case contract.FutureTime:
		return "It was issued in this node's future. The clock of the hub or of this node is wrong: check the time of this machine."
	case contract.Unreadable:
		return "It could not be read. The hub may run a version that this node does not understand; compare the versions."
	case contract.NoStorage:
		return "It could not be written to the vault, so it would not survive a restart. Check that the disk is not full and that the data folder can be written to."
	default:
		return "The reason is not known to this version of the program: " + p.String() + "."
	}
}
