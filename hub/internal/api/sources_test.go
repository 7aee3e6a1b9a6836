package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"ecs/hub/internal/collect"
)

func TestDeliveriesOfAnyFormatAndMappings(t *testing.T) {
	s := serve(t)
	var rep struct {
		Format, Mapping string
		Accepted        int64
		Same            bool
	}
	status := s.call(t, "gil", http.MethodPost, "/api/v1/batches?source=cedar&name=names.txt", "# names\napi-1.example\napi-2[.]example\n", &rep)
	if status != http.StatusOK || rep.Format != "list" || rep.Accepted != 2 {
		t.Errorf("a list: %d %+v", status, rep)
	}
	status = s.call(t, "gil", http.MethodPost, "/api/v1/batches?source=cedar&name=x&format=word", "x", nil)
	if status != http.StatusBadRequest {
		t.Errorf("an unknown format: %d", status)
	}
	const sheet = "IOC;Note\napi-3.example;seen\n"
	status = s.call(t, "gil", http.MethodPost, "/api/v1/batches?source=cedar&name=x.csv&format=auto", sheet, nil)
	if status != http.StatusUnprocessableEntity {
		t.Errorf("a table with other columns: %d", status)
	}
	const columns = `{"columns":[{"header":"IOC","field":"value"},{"header":"Note","field":"context"}]}`
	for _, x := range []struct {
		login, body string
		want        int
	}{
		{"gil", columns, 200}, {"ann", columns, 200}, {"rita", columns, 403}, {"gil", `{"columns":[]}`, 422}, {"gil", `{"colums":[]}`, 400},
	} {
		status = s.call(t, x.login, http.MethodPut, "/api/v1/sources/cedar/mappings?name=weekly", x.body, nil)
		if status != x.want {
			t.Errorf("%s saves %s: %d, want %d", x.login, x.body, status, x.want)
		}
	}
	status = s.call(t, "gil", http.MethodPut, "/api/v1/sources/dogwood/mappings?name=weekly", columns, nil)
	if status != http.StatusForbidden {
		t.Errorf("for another source: %d", status)
	}
	var all struct {
		Mappings []struct {
			Name    string
			Mapping struct {
				Columns []struct{ Header, Field string }
			}
		}
	}
	status = s.call(t, "gil", http.MethodGet, "/api/v1/sources/cedar/mappings", "", &all)
	if status != http.StatusOK || len(all.Mappings) != 1 || all.Mappings[0].Name != "weekly" || len(all.Mappings[0].Mapping.Columns) != 2 {
		t.Errorf("mappings: %d %+v", status, all)
	}
	status = s.call(t, "gil", http.MethodPost, "/api/v1/batches?source=cedar&name=x.csv&format=auto", sheet, &rep)
	if status != http.StatusOK || rep.Accepted != 1 || rep.Mapping == "" {
		t.Errorf("by the saved mapping: %d %+v", status, rep)
	}
	for _, want := range []int{200, 404} {
		status = s.call(t, "gil", http.MethodDelete, "/api/v1/sources/cedar/mappings?name=weekly", "", nil)
		if status != want {
			t.Errorf("removed: %d, want %d", status, want)
		}
	}
	var card struct{ Recorded string }
	status = s.call(t, "ann", http.MethodGet, "/api/v1/sources/cedar/scorecard?days=30", "", &card)
	if status != http.StatusOK || card.Recorded != "A" {
		t.Errorf("scorecard: %d %+v", status, card)
	}
	status = s.call(t, "gil", http.MethodGet, "/api/v1/sources/dogwood/scorecard", "", nil)
	if status != http.StatusNotFound {
		t.Errorf("another source's scorecard to an officer: %d", status)
	}
}

// oneFeed stands for the collector.
type oneFeed struct{ polled int }

func (f *oneFeed) List(context.Context) ([]collect.State, error) {
	return []collect.State{
		{Source: "cedar", Name: "main", Kind: collect.TAXII, Host: "taxii.example", Interval: time.Hour, LastError: "no answer", Failures: 2, Items: 7},
		{Source: "dogwood", Name: "lab", Kind: collect.TAXII, Host: "lab.example", Interval: time.Hour},
	}, nil
}

func (f *oneFeed) Poll(_ context.Context, source, name string) (collect.Result, error) {
	if source != "cedar" || name != "main" {
		return collect.Result{}, collect.ErrUnknown
	}
	f.polled++
	return collect.Result{Deliveries: 1, Items: 3}, nil
}

func TestFeeds(t *testing.T) {
	s := serve(t)
	var list feedList
	status := s.call(t, "ann", http.MethodGet, "/api/v1/feeds", "", &list)
	if status != http.StatusOK || len(list.Feeds) != 0 {
		t.Errorf("none: %d %+v", status, list)
	}
	feed := &oneFeed{}
	srv := httptest.NewServer(s.Accounts.Wrap(New(Config{DB: s.DB, Desk: s.Desk, Program: s.Program, Intake: s.Intake, Feedback: s.Feedback, Feeds: feed, Log: s.Log})))
	t.Cleanup(srv.Close)
	s.url = srv.URL
	for login, want := range map[string]int{"ann": 2, "gil": 1} {
		status = s.call(t, login, http.MethodGet, "/api/v1/feeds", "", &list)
		if status != http.StatusOK || len(list.Feeds) != want || list.Feeds[0].LastError != "no answer" || *list.Feeds[0].Items != 7 {
			t.Errorf("%s: %d %+v", login, status, list)
		}
	}
	for path, want := range map[string]int{"/api/v1/feeds/cedar/main/poll": 200, "/api/v1/feeds/cedar/other/poll": 400, "/api/v1/feeds/dogwood/lab/poll": 403} {
		status = s.call(t, "gil", http.MethodPost, path, "", nil)
		if status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if feed.polled != 1 {
		t.Errorf("polled %d times", feed.polled)
	}
}
