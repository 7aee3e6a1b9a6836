package api

import (
	"slices"
	"strings"

	"ecs/hub/internal/access"
	"ecs/hub/internal/intake"
)

// routes lists every operation. A feature in a file of its own gives its routes by
// a method of its own: one line here.
func (a *api) routes() []route {
	return slices.Concat(
		a.ownRoutes(),
		a.itemRoutes(),
		a.reviewRoutes(),
		a.deliveryRoutes(),
		a.sourceRoutes(),
		a.providerRoutes(),
		a.rehearsalRoutes(),
		a.lifecycleRoutes(),
		a.reportRoutes(),
		a.peopleRoutes(),
		a.searchRoutes(),
		a.graphRoutes(),
		a.caseworkRoutes(),
	)
}

func (a *api) ownRoutes() []route {
	const g = "Myself"
	return []route{
		{Method: "GET", Path: "/me", ID: "me", Group: g, Title: "Tell who I am", Out: meJSON{}, do: a.me},
		{Method: "GET", Path: "/status", ID: "status", Group: g, Title: "Tell what waits and how providers stand", About: "As far as the caller may see it.", Out: statusJSON{}, do: a.status},
	}
}

var narrowParams = []param{
	{Name: "q", About: "A whole identifier, or what to search for."},
	{Name: "state", Enum: stateNames(), Many: true, About: "Only these states."},
	{Name: "provider", About: "Only what is in force at this provider now."},
	{Name: "source", About: "Only what this source named."},
	{Name: "batch", About: "Only what came in this delivery."},
	{Name: "kind", Enum: kinds(), About: "Only this kind of observable."},
}

func (a *api) itemRoutes() []route {
	const g = "Indicators"
	acts := map[string][]string{"act": actNames()}
	return []route{
		{
			Method: "GET", Path: "/items", ID: "listItems", Group: g, Title: "List indicators", Sees: access.Indicators, Out: itemPage{}, do: a.items,
			Query: append(slices.Clone(narrowParams), param{Name: "value", About: "Only those of exactly this value, in any spelling; the answer is one page."}, param{Name: "order", Enum: []string{"newest", "oldest"}, About: "Oldest first when absent."}, afterParam, limitParam),
		},
		{Method: "GET", Path: "/items/{id}", ID: "readItem", Group: g, Title: "Read one indicator with its whole story", About: "Reading one whose marking forbids display is written to the audit log.", Sees: access.Indicators, Out: itemStory{}, do: a.item},
		{Method: "GET", Path: "/items/{id}/score", ID: "scoreItem", Group: g, Title: "Tell what an indicator is worth now, and why", Sees: access.Indicators, By: "those of these who are cleared for all that the hub holds: " + strings.Join(access.Roles(access.Indicators), ", "), Out: scoreJSON{}, do: a.worth},
		{
			Method: "POST", Path: "/items/{id}/{act}", ID: "decideItem", Group: g, Title: "Decide on one indicator", About: actsHelp(), Sees: access.Indicators, By: "as the act says",
			Enum: acts, In: order{}, Out: actAnswer{}, Again: a.actAgain, Match: true, do: a.act,
		},
		{
			Method: "POST", Path: "/bulk/{act}", ID: "decideItems", Group: g, Title: "Decide on many indicators", About: "Either ids or filter has to be there. Each indicator succeeds or fails by itself.", Sees: access.Indicators, By: "as the act says",
			Enum: acts, In: bulkOrder{}, Out: bulkAnswer{}, Again: bulkAgain, do: a.bulk,
		},
	}
}

func (a *api) deliveryRoutes() []route {
	const g = "Deliveries"
	return []route{
		{
			Method: "POST", Path: "/batches", ID: "deliver", Group: g, Title: "Deliver a file of indicators", About: "The body is the file, read as it arrives. The good items of the file are taken whatever happens to the others.",
			Sees: access.Deliver, Takes: "application/octet-stream", Free: true, Out: reportJSON{}, do: a.submit,
			Query: []param{
				{Name: "source", Need: true, About: "Short name of the source that delivers."},
				{Name: "name", Need: true, About: "The file's name."},
				{Name: "format", Enum: intake.Formats(), About: "Of the file; found out when absent."},
				{Name: "mapping", About: "How to read it, JSON: of a table what its columns mean (docs/formats/sheet.md), of a report which values are meant (docs/formats/report.md). When absent, a mapping that is saved for the source and fits the table."},
			},
		},
		{
			Method: "GET", Path: "/batches", ID: "listBatches", Group: g, Title: "List deliveries, newest first", Sees: access.Deliveries, Out: batchList{}, do: a.batches,
			Query: []param{{Name: "source", About: "Only this source's."}, {Name: "before", Form: "date-time", About: "Only those received before this moment."}, limitParam},
		},
		{Method: "GET", Path: "/batches/{id}", ID: "readBatch", Group: g, Title: "Read the report of one delivery", Sees: access.Deliveries, Out: access.Batch{}, do: a.batch},
		{
			Method: "GET", Path: "/batches/{id}/refusals", ID: "listRefusals", Group: g, Title: "List what was refused of a delivery, and why", Sees: access.Deliveries, Out: refusalList{}, do: a.refusals,
			Query: []param{{Name: "after", Is: "integer", About: "The number of the last refusal of the page before."}, limitParam},
		},
		{Method: "GET", Path: "/sources", ID: "listSources", Group: g, Title: "List sources", Sees: access.Deliveries, Out: partyList{}, do: a.sources},
		{Method: "PUT", Path: "/sources/{id}", ID: "putSource", Group: g, Title: "Add or change a source", By: "pmo_analyst", In: partyJSON{}, Out: partyJSON{}, do: a.putSource},
	}
}

func (a *api) providerRoutes() []route {
	const g, see = "Providers", access.Providers
	return []route{
		{Method: "GET", Path: "/providers", ID: "listProviders", Group: g, Title: "List providers", Sees: see, Out: providerList{}, do: a.providers},
		{Method: "POST", Path: "/providers", ID: "registerProvider", Group: g, Title: "Register a provider", Sees: see, By: "pmo_analyst", In: registration{}, Out: providerJSON{}, do: a.register},
		{Method: "GET", Path: "/providers/{id}", ID: "readProvider", Group: g, Title: "Read where a provider stands", Sees: see, Out: providerJSON{}, do: a.provider},
		{Method: "POST", Path: "/providers/{id}/state", ID: "moveProvider", Group: g, Title: "Move a provider to another state", Sees: see, By: "as docs/program.md says for the state", In: moveOrder{}, Out: providerJSON{}, do: a.move},
		{Method: "POST", Path: "/providers/{id}/withdraw", ID: "withdrawProvider", Group: g, Title: "Take everything out of force at a provider", About: "At one that is suspended or leaving.", Sees: see, By: "accrediting_official", In: reasonOnly{}, Out: withdrawn{}, do: a.withdraw},
		{Method: "POST", Path: "/providers/{id}/accreditation", ID: "accreditProvider", Group: g, Title: "Accredit a provider", About: "From now for 36 months unless not_before and not_after say otherwise.", Sees: see, By: "accrediting_official", In: accreditation{}, Out: providerJSON{}, do: a.accredit},
		{Method: "POST", Path: "/providers/{id}/tokens", ID: "makeToken", Group: g, Title: "Make a one-time token for enrolling a node", About: "The token is shown this once.", Sees: see, By: "pmo_analyst or system_admin", Out: tokenJSON{}, do: a.token},
		{Method: "GET", Path: "/providers/{id}/nodes", ID: "listNodes", Group: g, Title: "List a provider's nodes", Sees: see, Out: nodeList{}, do: a.nodes},
		{Method: "POST", Path: "/providers/{id}/nodes/{serial}/revoke", ID: "revokeNode", Group: g, Title: "Revoke a node's certificate", Sees: see, By: "pmo_analyst or system_admin", In: reasonOnly{}, Out: nodeJSON{}, do: a.revoke},
		{
			Method: "GET", Path: "/providers/{id}/ledger", ID: "readLedger", Group: g, Title: "List what was released to a provider, and what became of it", Sees: see, Out: ledgerPage{}, do: a.ledger,
			Query: []param{{Name: "status", Enum: words(statuses)}, {Name: "item", About: "Only this indicator."}, atParam, afterParam, limitParam},
		},
		{Method: "GET", Path: "/providers/{id}/reconcile", ID: "reconcile", Group: g, Title: "Balance what was ever released to a provider", Sees: see, Query: []param{atParam}, Out: balanceJSON{}, do: a.reconcile},
		{
			Method: "GET", Path: "/providers/{id}/in-force", ID: "listInForce", Group: g, Title: "List what was in force at a provider, and who approved it", Sees: see, Out: forcePage{}, do: a.inForce,
			Query: []param{atParam, afterParam, limitParam},
		},
	}
}

func (a *api) reportRoutes() []route {
	const g = "Reports"
	some := []param{{Name: "provider", About: "Only this provider's."}, limitParam}
	return []route{
		{Method: "GET", Path: "/sectors", ID: "listSectors", Group: g, Title: "Count coverage by sector, zeros included", Sees: access.Coverage, Out: sectorList{}, do: a.sectors},
		{
			Method: "GET", Path: "/feedback", ID: "tabulateFeedback", Group: g, Title: "Tabulate what providers counted", About: "Counts are steps, such as 100-249, and lower bounds.", Sees: access.Feedback, Out: feedbackTable{}, do: a.feedback,
			Query: []param{{Name: "by", Enum: []string{"indicator", "category", "service", "sector"}}, {Name: "days", Is: "integer", Min: 1, Max: 400, About: "How far back; 30 when absent."}, {Name: "service", About: "dns, smtp or netflow."}, limitParam},
		},
		{Method: "GET", Path: "/feedback/windows", ID: "listWindows", Group: g, Title: "List received windows of feedback", Sees: access.Feedback, Query: some, Out: windowList{}, do: a.windows},
		{Method: "GET", Path: "/feedback/refusals", ID: "listFeedbackRefusals", Group: g, Title: "List refused feedback", Sees: access.Feedback, Query: some, Out: feedbackRefusalList{}, do: a.feedbackRefusals},
		{
			Method: "GET", Path: "/audit", ID: "listAudit", Group: g, Title: "List entries of the audit log, newest first", Sees: access.Audit, Out: entryList{}, do: a.audit,
			Query: []param{{Name: "subject", About: "Only entries about this."}, {Name: "before", Is: "integer", About: "Only entries before this number."}, limitParam},
		},
		{Method: "POST", Path: "/audit/verify", ID: "verifyAudit", Group: g, Title: "Verify the chain of the audit log", Sees: access.Audit, Out: verdictJSON{}, do: a.verify},
	}
}
