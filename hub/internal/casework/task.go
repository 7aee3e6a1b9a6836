package casework

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"ecs/internal/audit"
	"ecs/internal/signin"
	"ecs/internal/sqldb"
)

// State of a task.
type State string

// The states.
const (
	Open    State = "open"
	Doing   State = "doing"
	Done    State = "done"
	Dropped State = "dropped"
)

// States lists them.
var States = []State{Open, Doing, Done, Dropped}

var moves = map[State][]State{
	Open:    {Doing, Done, Dropped},
	Doing:   {Open, Done, Dropped},
	Done:    {Open},
	Dropped: {Open},
}

// Task is something that somebody shall do.
type Task struct {
	ID       string    `json:"id"`
	Subject  string    `json:"subject"` // see ParseSubject
	Title    string    `json:"title"`
	Assignee string    `json:"assignee"` // login
	Due      time.Time `json:"due,omitzero"`
	State    State     `json:"state"`
	Version  int64     `json:"version"`
	Login    string    `json:"login"` // who gave it
	Created  time.Time `json:"created"`
	Steps    []Step    `json:"steps,omitempty"`
}

// Next gives the states into which the task can go.
func (t Task) Next() []State { return moves[t.State] }

// Late reports whether the day on which it is due is over.
func (t Task) Late(now time.Time) bool {
	return !t.Due.IsZero() && (t.State == Open || t.State == Doing) && now.After(t.Due.AddDate(0, 0, 1))
}

// Step is one change of a task.
type Step struct {
	What   string    `json:"what"` // a state, assigned, or due
	Note   string    `json:"note,omitempty"`
	Login  string    `json:"login"`
	Person string    `json:"person"`
	At     time.Time `json:"at"`
}

const (
	maxTitle = 200
	maxNote  = 1000
	maxTasks = 200
)

// Change is what somebody does with a task. Zero fields stay as they are.
type Change struct {
	Version  int64 // as it was seen; 0: whatever it is
	State    State
	Assignee string
	Due      time.Time
	Note     string
}

// Give gives a task to a colleague, or to oneself. A zero due means no day.
func Give(ctx context.Context, db *sqldb.DB, a signin.Account, s Subject, title, assignee string, due, now time.Time) (Task, error) {
	err := may(a)
	if err == nil {
		err = See(ctx, db, a, s)
	}
	if err == nil {
		title, err = screen(title, maxTitle, false, now)
	}
	if err == nil {
		err = checkDue(due, now)
	}
	if err != nil {
		return Task{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Task{}, err
	}
	t := Task{ID: id.String(), Subject: s.String(), Title: title, Assignee: assignee, Due: due.UTC(), State: Open, Version: 1, Login: a.Login, Created: now.UTC().Truncate(time.Microsecond)}
	err = db.Write(ctx, func(tx *sql.Tx) error {
		err := person(ctx, tx, assignee)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO task (id, subject, title, assignee, due, state, version, login, created) VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8)`,
			t.ID, t.Subject, t.Title, t.Assignee, sqldb.Time(t.Due), string(t.State), t.Login, sqldb.Time(t.Created))
		if err != nil {
			return fmt.Errorf("casework: task: %w", err)
		}
		return step(ctx, tx, a, &t, string(Open), "", now)
	})
	return t, err
}

func checkDue(due, now time.Time) error {
	if !due.IsZero() && (due.Before(now.AddDate(0, 0, -1)) || due.After(now.AddDate(1, 0, 1))) {
		return ErrDue
	}
	return nil
}

func person(ctx context.Context, tx *sql.Tx, login string) error {
	var disabled bool
	err := tx.QueryRowContext(ctx, `SELECT disabled FROM account WHERE login = $1`, login).Scan(&disabled)
	if errors.Is(err, sql.ErrNoRows) || err == nil && disabled {
		return fmt.Errorf("%w: %q", ErrPerson, login)
	}
	return err
}

// step writes the history and the audit log.
func step(ctx context.Context, tx *sql.Tx, a signin.Account, t *Task, what, note string, now time.Time) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO task_step (task, version, what, note, login, person, at) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		t.ID, t.Version, what, note, a.Login, a.Person, sqldb.Time(now))
	if err != nil {
		return fmt.Errorf("casework: task: %w", err)
	}
	_, id, _ := strings.Cut(t.Subject, ":")
	return audit.Append(ctx, tx, a.Login, "task."+what, id, map[string]any{"task": t.ID, "assignee": t.Assignee, "version": t.Version})
}

// Alter changes a task: its state, whose it is, or the day.
func Alter(ctx context.Context, db *sqldb.DB, a signin.Account, id string, c Change, now time.Time) (Task, error) {
	err := may(a)
	if err == nil && c.Note != "" {
		c.Note, err = screen(c.Note, maxNote, true, now)
	}
	if err == nil {
		err = checkDue(c.Due, now)
	}
	if err != nil {
		return Task{}, err
	}
	var out Task
	err = db.Write(ctx, func(tx *sql.Tx) error {
		t, err := read(ctx, tx, a, id)
		if err != nil {
			return err
		}
		if c.Version != 0 && c.Version != t.Version {
			return ErrVersion
		}
		var what []string
		if c.State != "" && c.State != t.State {
			if !slices.Contains(moves[t.State], c.State) {
				return fmt.Errorf("%w: from %s to %s", ErrState, t.State, c.State)
			}
			t.State, what = c.State, append(what, string(c.State))
		}
		if c.Assignee != "" && c.Assignee != t.Assignee {
			err = person(ctx, tx, c.Assignee)
			if err != nil {
				return err
			}
			t.Assignee, what = c.Assignee, append(what, "assigned")
		}
		if !c.Due.IsZero() && !c.Due.Equal(t.Due) {
			t.Due, what = c.Due.UTC(), append(what, "due")
		}
		if len(what) == 0 {
			return fmt.Errorf("%w: nothing of it would change", ErrState)
		}
		for _, w := range what {
			t.Version++
			err = step(ctx, tx, a, &t, w, c.Note, now)
			if err != nil {
				return err
			}
			c.Note = ""
		}
		_, err = tx.ExecContext(ctx, `UPDATE task SET state = $2, assignee = $3, due = $4, version = $5 WHERE id = $1`,
			t.ID, string(t.State), t.Assignee, sqldb.Time(t.Due), t.Version)
		out = t
		return err
	})
	return out, err
}

const taskColumns = `SELECT id, subject, title, assignee, due, state, version, login, created FROM task WHERE `

func scan(row func(...any) error) (t Task, err error) {
	var due, created int64
	err = row(&t.ID, &t.Subject, &t.Title, &t.Assignee, &due, &t.State, &t.Version, &t.Login, &created)
	t.Due, t.Created = sqldb.FromTime(due), sqldb.FromTime(created)
	return t, err
}

// read reads a task of whose subject the account may know.
func read(ctx context.Context, q sqldb.Querier, a signin.Account, id string) (Task, error) {
	t, err := scan(q.QueryRowContext(ctx, taskColumns+`id = $1`, id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return t, ErrNoTask
	}
	if err != nil {
		return t, fmt.Errorf("casework: task: %w", err)
	}
	known, err := knows(ctx, q, a, t.Subject)
	if err == nil && !known {
		return Task{}, ErrNoTask
	}
	return t, err
}

// knows reports whether the account may know of a subject.
func knows(ctx context.Context, q sqldb.Querier, a signin.Account, subject string) (bool, error) {
	s, err := ParseSubject(subject)
	if err != nil {
		return false, err
	}
	err = See(ctx, q, a, s)
	if err == nil {
		return true, nil
	}
	if unknown(err) {
		return false, nil
	}
	return false, err
}

// Mine reads the open tasks of the account, the most urgent first. One whose subject
// the account may not know of is not there.
func Mine(ctx context.Context, q sqldb.Querier, a signin.Account) ([]Task, error) {
	return tasks(ctx, q, a, taskColumns+`assignee = $1 AND state IN ('open', 'doing') ORDER BY CASE WHEN due = 0 THEN 1 ELSE 0 END, due, id LIMIT $2`, a.Login)
}

// Of reads the tasks on a subject with their history, newest first.
func Of(ctx context.Context, q sqldb.Querier, a signin.Account, s Subject) ([]Task, error) {
	err := See(ctx, q, a, s)
	if err != nil {
		return nil, err
	}
	list, err := tasks(ctx, q, a, taskColumns+`subject = $1 ORDER BY created DESC, id LIMIT $2`, s.String())
	for i := range list {
		if err == nil {
			list[i].Steps, err = steps(ctx, q, list[i].ID)
		}
	}
	return list, err
}

func tasks(ctx context.Context, q sqldb.Querier, a signin.Account, query, arg string) ([]Task, error) {
	all, err := scanTasks(ctx, q, query, arg)
	if err != nil {
		return nil, fmt.Errorf("casework: tasks: %w", err)
	}
	out := []Task{}
	for _, t := range all {
		known, err := knows(ctx, q, a, t.Subject)
		if err != nil {
			return nil, err
		}
		if known {
			out = append(out, t)
		}
	}
	return out, nil
}

func scanTasks(ctx context.Context, q sqldb.Querier, query, arg string) ([]Task, error) {
	rows, err := q.QueryContext(ctx, query, arg, maxTasks)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []Task
	for rows.Next() {
		t, err := scan(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

func steps(ctx context.Context, q sqldb.Querier, task string) ([]Step, error) {
	rows, err := q.QueryContext(ctx, `SELECT what, note, login, person, at FROM task_step WHERE task = $1 ORDER BY version`, task)
	if err != nil {
		return nil, fmt.Errorf("casework: steps: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Step
	for rows.Next() {
		var s Step
		var at int64
		err = rows.Scan(&s.What, &s.Note, &s.Login, &s.Person, &at)
		if err != nil {
			return nil, err
		}
		s.At = sqldb.FromTime(at)
		out = append(out, s)
	}
	return out, rows.Err()
}
